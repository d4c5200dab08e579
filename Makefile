# SPDX-License-Identifier: GPL-2.0-only
# make           build/weir
# make demo      the main job, live, in network namespaces of its own (root)
# make test      all tests (root), as scripts/test; make check: those that need no root
# make help      everything else
CLANG   ?= clang
CC      ?= gcc
# Ubuntu 24.04: /usr/sbin/bpftool is a script that wants the binary of the running kernel.
BPFTOOL ?= $(firstword $(wildcard /usr/lib/linux-tools/*/bpftool /usr/sbin/bpftool) bpftool)
V       ?= 0
SAN     ?= 0
TIERS   ?= all

B := build$(if $(filter 1,$(SAN)),/san)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

WARN   := -Wall -Wextra -Wno-missing-field-initializers -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
DEPS    = -MMD -MP
comma  := ,
SANFLAGS := $(if $(filter 1,$(SAN)),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
VERSION := $(shell sed -n 's/^New in version //p' NEWS | head -n 1)
CFLAGS := -std=gnu11 -O2 -g $(WARN) $(SANFLAGS) $(HARDEN) -I. -I$(B) -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"'
LIBS   := -lxdp -lbpf -ljansson -lcyaml -lyaml -lncursesw -ltinfo -lm
# What the page needs beside its own files; built into the binary.
CHART_JS ?= /usr/share/javascript/chart.js/chart.min.js
# UAPI headers only; the multiarch folder holds <asm/types.h>. The blocks of a
# loop stay in order: rearranged, its end may fall through into its beginning,
# which Linux 6.1 refuses ("back-edge"); it takes a loop that jumps back.
BPF_CFLAGS := -std=gnu11 -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -I. \
	-idirafter /usr/include/$(shell $(CC) -print-multiarch) \
	-mllvm -disable-block-placement

# user/ in layers: an include may only point down this list (scripts/lint).
LAYERS := cli daemon state host model
objects = $(patsubst %.c,$(B)/%.o,$(foreach layer,$(1),$(wildcard user/$(layer)/*.c user/$(layer)/*/*.c)))
USER_OBJ := $(call objects,$(LAYERS))
# No libbpf and no root: unit tests and fuzzers link it as it is.
MODEL_OBJ := $(call objects,model)
# What tools and benches may use.
LIB_OBJ := $(call objects,state host model)

TOOL_BPF := $(wildcard tests/*/*.bpf.c)
TOOL_SKEL := $(TOOL_BPF:%.bpf.c=$(B)/%.skel.h)
TOOLS := $(patsubst %.c,$(B)/%,$(filter-out %.bpf.c,$(wildcard tests/tools/*.c tests/bench/*.c tests/datapath/*.c)))
UNITS := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*.c))

all: $(B)/weir

help:
	@sed -n 's/^# make/make/p' Makefile
	@echo 'make test-kernels  the tests that depend on the kernel, on Linux 6.1 and 6.12,'
	@echo '               emulated (root; the first run downloads them to build/kernels)'
	@echo 'make test-long every step where test takes one of several (root, half an hour)'
	@echo 'make test-web  metrics and the page, with Prometheus and Chromium (root; installs them)'
	@echo 'make bench     cost per packet, others beside it, goodput, loading (root); bench-full: longer'
	@echo 'make record    the recorded size of the BPF program becomes the present one (root)'
	@echo 'make lab       floods against a real server, without weir and with it (root, twenty minutes);'
	@echo '               LAB="3 5" plays only these, LAB="seconds 6" each for so long'
	@echo 'make fuzz      fuzz the parsers and the program, FUZZ_SECONDS=60 each'
	@echo 'make coverage  what of the BPF code the tests execute, by line and branch (root)'
	@echo 'make lint      shellcheck, layers, headers, lines and blanks, the analyzer of clang'
	@echo 'make man       the man pages, into build/man'
	@echo 'make install   into $$(DESTDIR)$$(PREFIX); PREFIX is /usr/local unless said'
	@echo 'make uninstall what make install put there, but for what was changed in /etc'
	@echo 'make dist      a release, weir-$(VERSION).tar.gz with its checksum, into build/dist'
	@echo 'make deb       a Debian package, into build/deb'
	@echo 'make test-deb  lintian, and the package in a fresh Debian (root, network)'
	@echo 'make test-fresh the commands of the README in fresh Debians, 12 and 13 (root, network);'
	@echo '               SUITES=bookworm only this one, FRESH="all" these tests there'
	@echo 'make clean     remove build/'
	@echo 'Variables: V=1 shows commands, SAN=1 builds with ASan and UBSan into build/san'

print-layers:
	@echo $(LAYERS)

# Each header by itself, so that none depends on what stood before it where it was included.
headers:
	$(Q)$(CLANG) $(BPF_CFLAGS) -Wno-unused-function -fsyntax-only -x c \
		$(wildcard bpf/*.h bpf/pure/*.h)
	$(Q)$(CC) $(CFLAGS) -fsyntax-only -x c bpf/weir.h bpf/tool.h $(wildcard bpf/pure/*.h) \
		$(foreach layer,$(LAYERS),$(wildcard user/$(layer)/*.h user/$(layer)/*/*.h))

print-model:
	@echo $(wildcard user/model/*.c)

setup:
	$(Q)scripts/setup

demo:
	$(Q)scripts/demo

# A variable of the command line is in the environment, too.
test:
	$(Q)MAKEFLAGS= SAN=$(SAN) scripts/test $(TIERS)

# A browser and a Prometheus are too much to install for every `make test`; where
# they are, it runs these as well.
test-web:
	$(Q)scripts/setup web
	$(Q)$(MAKE) --no-print-directory \
		TIERS='$(patsubst %,tests/system/test_%.py,metrics web examples)' test

# Every step where the tests above take one of several.
test-long:
	$(Q)WEIR_LONG=1 TEST_TIMEOUT=1800 $(MAKE) --no-print-directory test

test-kernels:
	$(Q)$(MAKE) --no-print-directory TIERS=kernels test

check:
	$(Q)$(MAKE) --no-print-directory units
	$(Q)BUILD=$(B) scripts/run-tests unit

record: setup
	$(Q)$(MAKE) --no-print-directory all $(B)/tests/datapath/test_counted
	$(Q)CLANG=$(CLANG) $(B)/tests/datapath/test_counted record

bench bench-full:
	$(Q)scripts/setup
	$(Q)scripts/setup bench
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)scripts/bench $(if $(filter bench-full,$@),full)

lab: setup
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)/usr/bin/python3 tests/lab/run.py $(LAB)

fuzz: setup
	$(Q)scripts/fuzz

lint: setup
	$(Q)scripts/lint

tools: $(TOOLS) $(TOOL_BPF:%.bpf.c=$(B)/%.bpf.o)
$(B)/tests/tools/classify: LIBS += -lpcap
units: $(UNITS)

$(B)/weir: $(USER_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LIBS) -lmicrohttpd -lpthread

$(B)/user/%.o: user/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(DEPS) -c -o $@ $<

$(B)/user/daemon/web.o: $(wildcard user/daemon/web/*) $(CHART_JS)
$(B)/user/daemon/web.o: CFLAGS += -DWEIR_CHART_JS='"$(CHART_JS)"'

# The program reads words that are not aligned, which BPF and this machine permit; some tests run
# its parser on frames of their own.
$(B)/user/state/dry_run.o: CFLAGS += -fno-sanitize=alignment
$(TOOLS) $(UNITS): private CFLAGS += -fno-sanitize=alignment

# Only datapath.c includes the skeleton; the dependency files say so after the
# first build, this line says it before.
$(B)/user/state/datapath.o: $(B)/bpf/weir.skel.h

$(B)/%.bpf.o: %.bpf.c
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) $(DEPS) -MF $(@:.o=.d) -c -o $@ $<

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$(notdir $*))_bpf > $@.tmp && mv $@.tmp $@

# A tool is one C file, with a BPF program of the same name if it has one.
.SECONDEXPANSION:
$(TOOLS): $(B)/%: %.c $$(if $$(wildcard $$*.bpf.c),$(B)/$$*.skel.h) $(LIB_OBJ)
	$(call say,TOOL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(DEPS) -MF $@.d -o $@ $< $(LIB_OBJ) $(LIBS) -lpthread -lm

$(UNITS): $(B)/%: %.c $(MODEL_OBJ)
	$(call say,UNIT,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(DEPS) -MF $@.d -o $@ $< $(MODEL_OBJ) -ljansson -lcyaml -lyaml -lpthread -lm

# The fuzzers, with ASan and UBSan whatever SAN says: all of user/ but main() in one archive, of
# which each links what it calls.
FUZZ := build/fuzz
FUZZERS := $(patsubst tests/fuzz/%.c,$(FUZZ)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_OBJ := $(patsubst $(B)/%,$(FUZZ)/%,$(filter-out $(B)/user/cli/main.o,$(USER_OBJ)))
FUZZ_CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Wno-missing-field-initializers -Werror \
	-fno-omit-frame-pointer -fno-sanitize-recover=undefined -I. -I$(B) -D_GNU_SOURCE \
	-DWEIR_VERSION='"$(VERSION)"' -fsanitize=address,undefined

fuzzers: $(FUZZERS)

$(FUZZ)/user/%.o: user/%.c
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link $(DEPS) -c -o $@ $<

$(FUZZ)/user/daemon/web.o: $(wildcard user/daemon/web/*) $(CHART_JS)
$(FUZZ)/user/daemon/web.o: private FUZZ_CFLAGS += -DWEIR_CHART_JS='"$(CHART_JS)"'
$(FUZZ)/user/state/dry_run.o: private FUZZ_CFLAGS += -fno-sanitize=alignment
$(FUZZ)/user/state/datapath.o: $(B)/bpf/weir.skel.h

$(FUZZ)/user.a: $(FUZZ_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# The two that run the program itself, see dry_run.o above.
$(FUZZ)/fuzz_program $(FUZZ)/fuzz_options: private FUZZ_CFLAGS += -fno-sanitize=alignment

$(FUZZERS): $(FUZZ)/%: tests/fuzz/%.c $(FUZZ)/user.a
	$(call say,FUZZER,$@)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer $(DEPS) -MF $@.d -o $@ $< $(FUZZ)/user.a \
		$(LIBS) -lmicrohttpd -lpthread -lm

# clang's analyzer over each file of user/, whose stamp stays until the file or a header changes.
# It looks into small functions (ten blocks) at any depth: neg_errno() is one.
ANALYZED := $(patsubst %.c,build/analyzed/%.ok,$(foreach layer,$(LAYERS),$(wildcard user/$(layer)/*.c user/$(layer)/*/*.c)))

analyze: $(ANALYZED)

build/analyzed/%.ok: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) --analyze --analyzer-output text -Xclang -analyzer-werror \
		-Xclang -analyzer-config -Xclang ipa-always-inline-size=10 \
		$(filter-out -fsanitize=% -fno-sanitize%,$(FUZZ_CFLAGS)) $(ANALYZE) \
		-DWEIR_CHART_JS='"$(CHART_JS)"' -MMD -MP -MT $@ -MF $@.d -o /dev/null $< && touch $@

build/analyzed/user/state/datapath.ok: $(B)/bpf/weir.skel.h
# The skeleton, which bpftool writes, loses its memory where there is no more of it.
build/analyzed/user/state/datapath.ok: private ANALYZE := -Xclang -analyzer-disable-checker=unix.Malloc

# What of the BPF code is executed, compiled for this machine: scripts/coverage.
COV := build/coverage
COV_CFLAGS := $(filter-out -fsanitize=% -fno-sanitize%,$(FUZZ_CFLAGS)) -fprofile-instr-generate \
	-fcoverage-mapping

coverage: setup
	$(Q)scripts/coverage

$(COV)/dry_run.o: user/state/dry_run.c $(B)/bpf/weir.skel.h
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(COV_CFLAGS) $(DEPS) -c -o $@ $<

$(COV)/test_check: tests/datapath/test_check.c $(COV)/dry_run.o $(LIB_OBJ) $(B)/bpf/weir.skel.h
	$(Q)$(CLANG) $(COV_CFLAGS) $(DEPS) -MF $@.d -o $@ $< $(COV)/dry_run.o \
		$(filter-out %/dry_run.o,$(LIB_OBJ)) $(LIBS) -lpthread -lm

$(COV)/fuzz_%: tests/fuzz/fuzz_%.c $(MODEL_OBJ)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(COV_CFLAGS) -fsanitize=fuzzer $(DEPS) -MF $@.d -o $@ $< $(MODEL_OBJ) \
		-ljansson -lcyaml -lyaml -lpthread -lm

clean:
	$(Q)rm -rf build

include packaging/install.mk

-include $(USER_OBJ:.o=.d) $(TOOLS:=.d) $(UNITS:=.d) $(B)/bpf/weir.bpf.d $(TOOL_BPF:%.c=$(B)/%.d) \
	$(FUZZ_OBJ:.o=.d) $(FUZZERS:=.d) $(wildcard build/coverage/*.d) \
	$(ANALYZED:=.d)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all print-layers print-model headers help setup demo test test-long test-web test-kernels check record bench bench-full fuzz fuzzers analyze coverage lint tools units clean
