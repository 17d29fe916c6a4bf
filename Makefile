# Scrine.  `make` builds build/libscrine.a and the commands scrine, scrine-snapshot and
# scrine-walcheck, in build/ as well.  `make demo` and `make check` need nothing but gcc and
# make: they find out what else is missing and, as root, install it.
#
# Others: check-fast (two minutes), check-many (90 seconds), check-faults (ten minutes), soak
# (SOAK_SECONDS=n, else without end), coverage, fuzz, style, bench-smoke, bench-many
# (BENCH_SECONDS=n, 10), bench-snapshot, install (PREFIX=, DESTDIR=), clean.
# MODE=release|debug|checked|asan|tsan|coverage chooses a build beside the others (checked:
# optimised, with assertions); SMALL=1 builds with tiny limits (4 KiB pages), so that rare
# paths become common.

MODE ?= release
PREFIX ?= /usr/local
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD := build$(if $(filter-out release,$(MODE)),/$(MODE))$(if $(SMALL),/small)

CFLAGS_release := -O2 -DNDEBUG
CFLAGS_debug := -O1 -DSCN_ASSERT
CFLAGS_checked := -O2 -DSCN_ASSERT
CFLAGS_asan := $(CFLAGS_debug) -fsanitize=address,undefined -fno-sanitize-recover=all \
    -fno-omit-frame-pointer
# What the tests ask for is there, and no assertion is.
CFLAGS_coverage := -O0 -DSCN_ASSERT -DNDEBUG -Wno-unused-function --coverage
CFLAGS_tsan := $(CFLAGS_debug) -fsanitize=thread
# Without a trace of comparisons: it costs half the speed, and targets that repair checksums
# need no help with numbers; nor of calls by pointers, which lead to few places; nor with
# the checks that AddressSanitizer makes as well, or that kept inputs meet in `make check`.
CHECKS_fuzz := -fsanitize=address,undefined \
    -fno-sanitize=null,object-size,pointer-overflow,alignment \
    -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_fuzz := -O2 -DSCN_ASSERT $(CHECKS_fuzz) -fsanitize=fuzzer-no-link \
    -fno-sanitize-coverage=trace-cmp,indirect-calls
CFLAGS_afl := -O2 -DSCN_ASSERT $(CHECKS_fuzz)
FLAGS := -g -fPIC -fno-semantic-interposition -march=x86-64-v2 -I. $(CFLAGS_$(MODE)) $(if $(SMALL),-DSCN_PAGE_BYTES=4096)
WARNINGS := -Wall -Wextra -Wpointer-arith -Wvla -Werror
CFLAGS_ALL := -std=c11 -D_GNU_SOURCE $(FLAGS) $(WARNINGS) -Wstrict-prototypes \
    -Wmissing-prototypes $(CFLAGS)
CXXFLAGS_ALL := -std=c++11 $(FLAGS) $(WARNINGS) -Wpedantic $(CXXFLAGS)
LIBS := -llz4 -lxxhash -lpthread

# objects: the objects of the C files of some folders, or of some files.
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(foreach f,$(1),$(wildcard $(f:%.c=%)$(if \
    $(filter %.c,$(f)),.c,/*.c))))
LAYERS := page wal buffer engine
LIB := $(BUILD)/libscrine.a
LIB_OBJECTS := $(call objects,$(LAYERS))
UNIT := $(call objects,test/unit)
# What the second command takes from the first.
WALCHECK_TOOLS := $(call objects,$(addprefix tools/,args.c text.c member.c outcome.c output.c \
    interrupt.c progress.c target.c))
WALCHECK := $(filter-out %/walcheck.o,$(call objects,tools/walcheck))
LINKER = $(CC)
link = $(LINKER) $(FLAGS) $(LDFLAGS) $(STATIC) -o $@ $(filter %.o %.a,$^) $(LIBS)

.PHONY: all demo check check-fast check-many check-faults soak style bench-smoke bench-many \
    bench-snapshot install coverage \
    programs print-programs clean fuzz fuzz-afl fuzz-programs
.SECONDARY:
all: $(LIB) $(BUILD)/scrine $(BUILD)/scrine-snapshot $(BUILD)/scrine-walcheck

# ---- what the machine must have: tried once, by compiling and linking ----
# A plain `make` only tells; the targets that promise to work on a bare machine install.
PROMISING := demo check check-fast check-many check-faults soak style bench-smoke \
    bench-many bench-snapshot fuzz
AS_ROOT := $(if $(filter $(PROMISING),$(MAKECMDGOALS)),install,tell)
build/deps/%: .ci/deps
	@CC="$(CC)" CXX="$(CXX)" bash .ci/deps $(AS_ROOT) $* && mkdir -p $(@D) && touch $@

# ---- library ----
# One object, internals localised: a host program's own `wal_append` must not replace ours.
$(LIB): $(LIB_OBJECTS)
	$(LD) -r -o $(BUILD)/scrine-all.o $^
	objcopy --wildcard --keep-global-symbol='scn_*' $(BUILD)/scrine-all.o
	rm -f $@ && $(AR) rcs $@ $(BUILD)/scrine-all.o

$(BUILD)/obj/%.o: %.c Makefile | build/deps/base
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# A compiler's opinion alone (test/style/clang.sh).
$(BUILD)/opinion/%.ok: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -fsyntax-only -MMD -MP -MF $(@:.ok=.d) -MT $@ $<
	@touch $@

$(BUILD)/obj/%.cc.o: %.cc Makefile | build/deps/check
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_ALL) -MMD -MP -c -o $@ $<

# The command reads files that the engine refuses, so it needs the layers and not the archive.
$(BUILD)/scrine: $(call objects,tools) $(WALCHECK) $(LIB_OBJECTS)
	$(link) -ljansson -ledit

# So does the one that looks at files without the engine.  Its --salvage and --estimate write
# through the public interface, which is why the other layers are there.
$(BUILD)/scrine-walcheck: $(call objects,tools/walcheck) $(WALCHECK_TOOLS) $(LIB_OBJECTS)
	$(link) -ljansson

# Of the command's files those that both need; and the public interface alone.
$(BUILD)/scrine-snapshot: $(call objects,tools/snapshot $(addprefix tools/,args.c \
    fingerprint.c handle.c home.c interrupt.c member.c outcome.c output.c progress.c \
    target.c text.c)) $(LIB)
	$(link) -ljansson

$(BUILD)/scrine-demo: $(call objects,tools/demo) $(LIB)
	$(link) -ljansson

$(BUILD)/scrine-bench: $(call objects,bench) $(LIB) | build/deps/bench
	$(link) -llmdb -lsqlite3 -lm

# ---- test programs: one a layer, linked with that layer and those below ----
LAYER_PROGRAMS := $(LAYERS:%=$(BUILD)/test-%)
$(BUILD)/test-page: $(call objects,test/page page test/sim) $(UNIT)
$(BUILD)/test-wal: $(call objects,test/wal wal page test/sim) $(UNIT)
$(BUILD)/test-buffer: $(call objects,test/buffer buffer page test/sim) $(UNIT)
$(BUILD)/test-engine: $(call objects,test/engine test/sim) $(LIB_OBJECTS) $(UNIT)
$(LAYER_PROGRAMS):
	$(link)

# walcheck on files that the engine has made and is asked about; lies are told to it, too.
REFERENCE := $(addprefix test/engine/,reference.c forge.c test_lies.c test_lies_space.c)
$(BUILD)/test-walcheck: $(call objects,test/walcheck test/sim $(REFERENCE)) $(WALCHECK) \
    $(WALCHECK_TOOLS) $(LIB_OBJECTS) $(UNIT)
	$(link) -ljansson

# The fault suite has a main of its own, and its stories from the tests of the engine.
STORY := $(call objects,test/engine/story.c test/engine/act.c test/engine/row.c)
$(BUILD)/test-fault: $(call objects,test/fault test/sim test/engine/rowsum.c) $(STORY) \
    $(WALCHECK) $(WALCHECK_TOOLS) $(LIB_OBJECTS) $(BUILD)/unit.a
	$(link) -ljansson

# So have the schedules, since they replace the library's memory.
$(BUILD)/test-schedule: $(call objects,test/schedule test/sim) $(STORY) $(LIB_OBJECTS) $(UNIT)
	$(link)

# The API's tests know include/scrine.h and the archive alone.  test/api/*.c are one program;
# every prog_*.c, and every prog_*.cc with its own main, is a program of its own.
API_FILES := $(filter-out test/api/prog_%,$(wildcard test/api/*.c))
API_C := $(patsubst test/api/prog_%.c,$(BUILD)/test-api-%,$(wildcard test/api/prog_*.c))
API_CC := $(patsubst test/api/prog_%.cc,$(BUILD)/test-api-%,$(wildcard test/api/prog_*.cc))
API_PROGRAMS := $(if $(API_FILES),$(BUILD)/test-api) $(API_C) $(API_CC)
$(BUILD)/test-api $(BUILD)/test-api-static: $(call objects,$(API_FILES)) $(LIB) $(UNIT)
$(API_C): $(BUILD)/test-api-%: $(BUILD)/obj/test/api/prog_%.o $(LIB) $(BUILD)/unit.a
$(API_C:=-static): $(BUILD)/test-api-%-static: $(BUILD)/obj/test/api/prog_%.o $(LIB) \
    $(BUILD)/unit.a
$(API_CC): $(BUILD)/test-api-%: $(BUILD)/obj/test/api/prog_%.cc.o $(LIB)
$(API_CC:=-static): $(BUILD)/test-api-%-static: $(BUILD)/obj/test/api/prog_%.cc.o $(LIB)
$(API_CC) $(API_CC:=-static): LINKER = $(CXX)
%-static: STATIC = -static
$(API_PROGRAMS) $(API_PROGRAMS:=-static):
	$(link)

# Nor do those of many processes.
MANY := $(BUILD)/test-many
$(MANY): $(call objects,test/many) $(LIB) $(UNIT) | $(MANY)-copy.so
	$(link)
# The library once more, for a process that has it twice.
$(MANY)-copy.so: $(LIB)
	$(CC) $(FLAGS) $(LDFLAGS) -shared -o $@ -Wl,--whole-archive $(LIB) \
	    -Wl,--no-whole-archive $(LIBS)

# The commands, killed: they lie beside it.
$(BUILD)/test-tools: $(call objects,test/tools) $(LIB) $(UNIT) $(BUILD)/scrine \
    $(BUILD)/scrine-snapshot $(BUILD)/scrine-walcheck
	$(link)

# From an archive the harness's main comes only where a program has none.
$(BUILD)/unit.a: $(UNIT)
	rm -f $@ && $(AR) rcs $@ $^

# ---- fuzzing: each target is a libFuzzer program; all of them a test of their corpora ----
# The corpora were found with tiny limits, and so they are run with them alone.
FUZZ_FRAME := $(addprefix test/fuzz/,blocks.c stage.c survey.c image.c forge.c \
    model.c recipe.c sequel.c)
FUZZ_TARGETS := pages codecs logs files rows mishaps commands walcheck increments
FUZZ_SHARED := $(call objects,$(FUZZ_FRAME) test/sim test/engine/rowsum.c) $(STORY) \
    $(LIB_OBJECTS)
# The command's calls of scn_open are led to a store in memory.
FUZZ_TOOLS := $(filter-out %/scrine.o,$(call objects,tools))
fuzz_tools = -Wl,--wrap=scn_open -ljansson -ledit
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(BUILD)/fuzz-%)
$(FUZZ_PROGRAMS): $(BUILD)/fuzz-%: $(BUILD)/obj/test/fuzz/%.o \
    $(call objects,test/fuzz/entry.c test/unit/dice.c) $(FUZZ_SHARED)
	$(link) -fsanitize=fuzzer $(if $(findstring commands,$@),$(fuzz_tools)) \
	    $(if $(findstring walcheck,$@),-ljansson)
$(BUILD)/fuzz-commands: $(FUZZ_TOOLS) $(WALCHECK)
$(BUILD)/fuzz-walcheck: $(WALCHECK) $(WALCHECK_TOOLS)
fuzz-programs: $(FUZZ_PROGRAMS)
# The machine that a target runs on is not what is looked at.
BARE = $(filter-out -fsanitize% -fno-sanitize%,$(CFLAGS_ALL))
$(call objects,test/fuzz/blocks.c): CFLAGS_ALL := $(BARE)
ifneq ($(filter fuzz afl,$(MODE)),)
$(call objects,test/sim) $(STORY): CFLAGS_ALL := $(BARE)
endif
CORPUS_PROGRAM := $(if $(SMALL),$(if $(filter release,$(MODE)),,$(BUILD)/test-fuzz))
$(BUILD)/test-fuzz: $(call objects,$(FUZZ_TARGETS:%=test/fuzz/%.c) test/fuzz/test_corpus.c) \
    $(FUZZ_SHARED) $(FUZZ_TOOLS) $(WALCHECK) $(UNIT)
	$(link) $(fuzz_tools)

# What test/run runs in this mode: the layers where assertions are on, the API everywhere,
# and a slice of the fault suite where there is something to see in one thread.
PROGRAMS := $(if $(filter release,$(MODE)),$(API_PROGRAMS:=-static),$(LAYER_PROGRAMS) \
    $(BUILD)/test-schedule) $(API_PROGRAMS) \
    $(if $(filter release tsan,$(MODE)),,$(BUILD)/test-fault $(BUILD)/test-walcheck $(MANY)) \
    $(CORPUS_PROGRAM)
programs: $(PROGRAMS) $(LIB)
print-programs:
	@echo $(PROGRAMS)

# ---- targets for people ----
check check-fast check-many style: build/deps/base build/deps/check
	@CC="$(CC)" CXX="$(CXX)" bash test/run $@

# Pages of 4 KiB, where everything happens soon; and a part with those of the real thing.
FAULTS := build/checked/small/test-fault
check-faults soak: build/deps/base build/deps/check
	@$(MAKE) -s -j2 MODE=checked SMALL=1 $(FAULTS)
	@$(MAKE) -s -j2 MODE=checked build/checked/test-fault
	@$(if $(filter soak,$@),:,build/checked/test-fault slice)
	@$(FAULTS) $(@:check-faults=check)

coverage: build/deps/base build/deps/check
	@CC="$(CC)" CXX="$(CXX)" test/coverage/run

demo: build/deps/base
	@$(MAKE) -s -j2 $(BUILD)/scrine-demo
	@$(BUILD)/scrine-demo $(DEMO)

bench-smoke bench-many bench-snapshot: build/deps/base build/deps/bench
	@$(MAKE) -s -j2 $(BUILD)/scrine-bench $(BUILD)/scrine-walcheck
	@$(BUILD)/scrine-bench $(@:bench-%=%)

# Then: test/fuzz/run TARGET, one of FUZZ_TARGETS.
fuzz: build/deps/base build/deps/fuzz
	@$(MAKE) -s MODE=fuzz SMALL=1 CC=clang fuzz-programs
# The same for AFL++, which brings a driver for libFuzzer's entry; then AFL=1 test/fuzz/run.
fuzz-afl: build/deps/base
	@$(MAKE) -s MODE=afl SMALL=1 CC=afl-clang-fast fuzz-programs

# Where bash looks for the completion of a command that it has not met yet.
COMPLETIONS := $(PREFIX)/share/bash-completion/completions
install: all
	install -Dm644 include/scrine.h $(DESTDIR)$(PREFIX)/include/scrine.h
	install -Dm644 $(LIB) $(DESTDIR)$(PREFIX)/lib/libscrine.a
	install -Dm755 $(BUILD)/scrine $(DESTDIR)$(PREFIX)/bin/scrine
	install -Dm755 $(BUILD)/scrine-snapshot $(DESTDIR)$(PREFIX)/bin/scrine-snapshot
	install -Dm755 $(BUILD)/scrine-walcheck $(DESTDIR)$(PREFIX)/bin/scrine-walcheck
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man1 docs/man/*.1
	install -Dm644 tools/completion/scrine.bash $(DESTDIR)$(COMPLETIONS)/scrine
	ln -sf scrine $(DESTDIR)$(COMPLETIONS)/scrine-snapshot
	ln -sf scrine $(DESTDIR)$(COMPLETIONS)/scrine-walcheck
	install -Dm644 tools/completion/_scrine \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_scrine

clean:
	rm -rf build

-include $(shell find $(BUILD)/obj $(BUILD)/opinion -name '*.d' 2>/dev/null)
