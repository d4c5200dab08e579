# SPDX-License-Identifier: GPL-2.0-only
# Installing and packaging; a part of the Makefile.
PREFIX  ?= /usr/local
DESTDIR ?=
UNITDIR ?= $(PREFIX)/lib/systemd/system
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions

MAN := $(patsubst packaging/man/%.scd,$(B)/man/%,$(wildcard packaging/man/*.scd))
# Documents, with their pictures and examples: links between them hold where they are installed.
PAGES := README.md DESIGN.md SECURITY.md NEWS LICENSE $(wildcard docs/*.md docs/*.svg docs/*.png examples/*.yaml examples/*/*)
UNITS_OF_SYSTEMD := $(patsubst packaging/systemd/%.in,$(B)/systemd/%,$(wildcard packaging/systemd/*.in))

man: $(MAN)

$(B)/man/%: packaging/man/%.scd
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)scdoc <$< >$@.tmp && mv $@.tmp $@

$(B)/systemd/%: packaging/systemd/%.in FORCE
	$(Q)mkdir -p $(@D)
	$(Q)sed 's|@PREFIX@|$(PREFIX)|g' $< >$@

# What is installed: mode, file, where below DESTDIR.
define INSTALLED
755 $(B)/weir $(PREFIX)/sbin/weir
755 packaging/systemd/weir-restore $(PREFIX)/libexec/weir/restore
644 packaging/bash-completion/weir $(PREFIX)/share/bash-completion/completions/weir
644 packaging/zsh/_weir $(ZSHDIR)/_weir
644 packaging/fish/weir.fish $(PREFIX)/share/fish/vendor_completions.d/weir.fish
$(foreach page,$(MAN),644 $(page) $(PREFIX)/share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page))
)$(foreach unit,$(UNITS_OF_SYSTEMD),644 $(unit) $(UNITDIR)/$(notdir $(unit))
)$(foreach page,$(PAGES),644 $(page) $(PREFIX)/share/doc/weir/$(page)
)644 packaging/systemd/sysusers.conf $(PREFIX)/lib/sysusers.d/weir.conf
endef
export INSTALLED

install: all man $(UNITS_OF_SYSTEMD)
	$(Q)echo "$$INSTALLED" | while read -r mode file to; do \
		[ -z "$$mode" ] || install -D -m "$$mode" "$$file" "$(DESTDIR)$$to" || exit 1; done
	$(Q)packaging/finish install "$(PREFIX)" "$(DESTDIR)"

uninstall:
	$(Q)echo "$$INSTALLED" | while read -r mode file to; do rm -f "$(DESTDIR)$$to"; done
	$(Q)rmdir --ignore-fail-on-non-empty -p $(addprefix $(DESTDIR)$(PREFIX)/,$(sort \
		$(addprefix share/doc/weir/,$(dir $(PAGES))) libexec/weir)) 2>/dev/null || true
	$(Q)packaging/finish uninstall "$(PREFIX)" "$(DESTDIR)"

# DIRTY=dirty packs files that are not committed, too.
DIRTY ?=
dist:
	$(Q)scripts/dist $(VERSION) $(B)/dist $(DIRTY)

deb:
	$(Q)scripts/setup build package
	$(Q)packaging/debian/build $(VERSION) $(B)/deb

test-deb: deb
	$(Q)scripts/setup fresh
	$(Q)packaging/debian/test $(B)/deb

# SUITES="bookworm" tries only this; FRESH="all" runs these tests there in place of the unit tests.
SUITES ?= bookworm trixie
FRESH  ?= unit
test-fresh:
	$(Q)scripts/setup fresh
	$(Q)FRESH='$(FRESH)' packaging/debian/test-fresh $(B)/fresh $(SUITES)

FORCE:
.PHONY: FORCE man install uninstall dist deb test-deb test-fresh
