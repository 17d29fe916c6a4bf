# Scrine.  `make`, `make demo`, `make check`, `make check-fast`, `make bench-smoke`.
# MODE=release|debug|asan|tsan chooses a build beside the others; SMALL=1 builds with tiny
# limits (4 KiB pages), so that rare paths become common.

MODE ?= release
CC ?= gcc
CXX ?= g++
BUILD := build$(if $(filter-out release,$(MODE)),/$(MODE))$(if $(SMALL),/small)

CFLAGS_release := -O2 -DNDEBUG
CFLAGS_debug := -O1 -DSCN_ASSERT
CFLAGS_asan := -O1 -DSCN_ASSERT -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -DSCN_ASSERT -fsanitize=thread
WARNINGS := -Wall -Wextra -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
CFLAGS_ALL := -std=c11 -D_GNU_SOURCE -g -fPIC -march=x86-64-v2 -I. $(WARNINGS) \
    $(CFLAGS_$(MODE)) $(if $(SMALL),-DSCN_PAGE_BYTES=4096) $(CFLAGS)
LIBS := -llz4 -lxxhash -lpthread

LAYERS := page wal buffer engine
sources = $(wildcard $(1)/*.c)
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(foreach f,$(1),$(call sources,$(f))))
LIB_OBJECTS := $(call objects,$(LAYERS))
SIM_OBJECTS := $(call objects,test/sim)

.PHONY: all deps demo check check-fast bench-smoke unit style clean
all: $(BUILD)/libscrine.a $(BUILD)/scrine

# ---- library ----
# One object, internals localised: a host program's own `wal_append` must not replace ours.
$(BUILD)/libscrine.a: $(LIB_OBJECTS)
	$(LD) -r -o $(BUILD)/scrine-all.o $^
	objcopy --wildcard --keep-global-symbol='scn_*' $(BUILD)/scrine-all.o
	rm -f $@ && $(AR) rcs $@ $(BUILD)/scrine-all.o

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/scrine: $(call objects,tools) $(BUILD)/libscrine.a
	$(CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS) -ljansson

# ---- tests: one program a layer, linked with that layer and those below ----
UNIT := $(BUILD)/obj/test/unit/unit.o
$(BUILD)/test-page: $(call objects,test/page page test/sim) $(UNIT)
$(BUILD)/test-wal: $(call objects,test/wal wal page test/sim) $(UNIT)
$(BUILD)/test-buffer: $(call objects,test/buffer buffer page test/sim) $(UNIT)
$(BUILD)/test-engine: $(call objects,test/engine test/sim) $(LIB_OBJECTS) $(UNIT)
$(BUILD)/test-api: $(call objects,test/api) $(BUILD)/libscrine.a $(UNIT)
$(BUILD)/test-%:
	$(CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS)

unit: $(foreach layer,$(LAYERS) api,$(BUILD)/test-$(layer))

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
