// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "user/daemon/web.h"

/* The assembler includes the file. The Makefile lists it as a dependency of this one. */
#define EMBED(name, file)                                                      \
	__asm__(".pushsection .rodata\n"                                       \
		".global web_" #name "\nweb_" #name ":\n.incbin \"" file "\"\n"   \
		".global web_" #name "_end\nweb_" #name "_end:\n.popsection\n");  \
	extern const unsigned char web_##name[], web_##name##_end[]

EMBED(page, "user/daemon/web/index.html");
EMBED(style, "user/daemon/web/weir.css");
EMBED(script, "user/daemon/web/weir.js");
EMBED(icon, "user/daemon/web/icon.svg");
EMBED(chart, WEIR_CHART_JS);

#define JAVASCRIPT "text/javascript; charset=utf-8"

static const struct web_file files[] = {
	{ "/", "text/html; charset=utf-8", web_page, web_page_end },
	{ "/weir.css", "text/css; charset=utf-8", web_style, web_style_end },
	{ "/weir.js", JAVASCRIPT, web_script, web_script_end },
	{ "/chart.js", JAVASCRIPT, web_chart, web_chart_end },
	{ "/icon.svg", "image/svg+xml", web_icon, web_icon_end },
};

const struct web_file *web_find(const char *path)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (!strcmp(files[i].path, path))
			return &files[i];
	return NULL;
}
