// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/host/bounded.h"
#include "user/host/clock.h"
#include "user/model/units.h"

void *bounded_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void bounded_memory_free(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

/*
 * What the child has open it has for as long as it hangs: it gives up locks, and the pipes behind the
 * standard descriptors, whose readers wait for their end.
 */
static _Noreturn void be_child(void (*job)(void *arg), void *arg, int fd)
{
	int nothing = open("/dev/null", O_RDWR);
	sigset_t none;

	for (int i = 0; nothing >= 0 && i <= STDERR_FILENO; i++)
		dup2(nothing, i);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (fd < 0) {
		close_range(STDERR_FILENO + 1, ~0U, 0);
	} else {
		if (fd > STDERR_FILENO + 1)
			close_range(STDERR_FILENO + 1, fd - 1, 0);
		close_range(fd + 1, ~0U, 0);
	}
	job(arg);
	_exit(0);
}

/* 0: the child ended within @ns, not yet waited for. */
static int wait_until(int pidfd, uint64_t ns)
{
	struct pollfd ended = { pidfd, POLLIN, 0 };
	uint64_t now = now_ns(), until = now + ns;
	int rc = -1;

	while (rc < 0 && now < until) {
		rc = poll(&ended, 1, (until - now + NS_PER_MS - 1) / NS_PER_MS);
		if (rc < 0 && errno != EINTR)
			return -errno;
		now = now_ns();
	}
	return rc > 0 ? 0 : -ETIMEDOUT;
}

int bounded_run(void (*job)(void *arg), void *arg, int fd, uint64_t ns, pid_t *left)
{
	int pidfd, status, rc;
	pid_t pid = fork();

	*left = 0;
	if (pid < 0)
		return -errno;
	if (!pid)
		be_child(job, arg, fd);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	rc = pidfd < 0 ? -errno : wait_until(pidfd, ns);
	if (pidfd >= 0)
		close(pidfd);
	if (rc) {
		kill(pid, SIGKILL);
		*left = pid;
		bounded_is_over(left);
		return rc;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

bool bounded_is_over(pid_t *left)
{
	if (*left && waitpid(*left, NULL, WNOHANG) == 0)
		return false;
	*left = 0;
	return true;
}
