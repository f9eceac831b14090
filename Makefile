# Halocline. Targets: all run check check-long bench scaling docs format lint install clean
#   make BUILD=debug|release   (release is the default)      make SAN=1 ...   AddressSanitizer + UBSan build
#   make ARCH=x86-64-v3        portable build (default: native)   make CC=clang
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
VERSION := 0.1.0

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
ARCH    ?= native
BUILD   ?= release
SAN     ?= 0
PREFIX  ?= /usr/local
DESTDIR ?=
NP      ?= 2

PACKAGES := PETSc mpi hdf5-openmpi yaml-0.1 libpng jansson
PYTHON   ?= $(shell for p in python3 /usr/bin/python3; do $$p -c 'import numpy, h5py, matplotlib, pytest' 2>/dev/null && { echo $$p; break; }; done)

ifeq ($(SAN),1)
FLAVOUR := san
OPT     := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -DHC_DEBUG
else ifeq ($(BUILD),debug)
FLAVOUR := debug
OPT     := -O0 -g -DHC_DEBUG
else
FLAVOUR := release
OPT     := -O3 -g
endif
ifneq ($(CC),gcc)
FLAVOUR := $(FLAVOUR)-$(notdir $(CC))
endif
ifneq ($(ARCH),native)
FLAVOUR := $(FLAVOUR)-$(ARCH)
endif
B := build/$(FLAVOUR)

# Contraction is off so that a cell's result never depends on whether it is computed in a vector or in a remainder loop:
# the same bits on any number of ranks (docs/performance.md has what it costs). No trapping, no errno: both only hinder
# the vectoriser. Never -ffast-math.
FLAGS   := -std=gnu11 -Wall -Wextra -march=$(ARCH) -ffp-contract=off -fno-math-errno -fno-trapping-math $(OPT)
PKGC     = $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKGL     = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
CPPFLAGS += -Iinclude -Isrc -DHC_VERSION='"$(VERSION)"'
LIBS     = $(PKGL) -lm

SRC  := $(shell find src -name '*.c' | LC_ALL=C sort)
OBJ  := $(patsubst src/%.c,$(B)/obj/%.o,$(filter-out src/app/main.c,$(SRC)))
MAIN := $(B)/obj/app/main.o
LIB  := $(B)/libhalocline.a
EXE  := $(B)/halocline
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
BENCH := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/bench_*.c))

.PHONY: all deps lib run check check-unit check-system check-long bench scaling docs format lint install clean
all: deps
	@$(MAKE) bin/halocline

# Installs what is missing (Debian, as root or through sudo) or says what to load; quick when all is there.
deps:
	@run/setup

bin/halocline: $(EXE)
	@mkdir -p bin && ln -sf ../$(EXE) $@

lib: $(LIB)

$(B)/flags: FORCE
	@mkdir -p $(B) && echo '$(CC) $(FLAGS) $(CPPFLAGS)' | cmp -s - $@ || echo '$(CC) $(FLAGS) $(CPPFLAGS)' > $@
FORCE:

$(B)/obj/%.o: src/%.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(FLAGS) $(CPPFLAGS) $(PKGC) $(CFLAGS) -MMD -MP -c $< -o $@

# The version string names the commit; the file changes only when the commit does.
$(B)/obj/base/version.o: CPPFLAGS += -DHC_COMMIT='"$(shell git describe --always --dirty --abbrev=10 2>/dev/null || echo unknown)"' -DHC_FLAGS='"$(FLAGS)"'

$(LIB): $(OBJ)
	@echo "  AR $@"
	@rm -f $@ && ar rcs $@ $^

$(EXE): $(MAIN) $(LIB)
	@echo "  LD $@"
	@$(CC) $(FLAGS) $(CFLAGS) -rdynamic $^ -o $@ $(LDFLAGS) $(LIBS) -ldl

$(B)/unit/%: tests/unit/%.c tests/unit/tap.h $(LIB)
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(FLAGS) $(CPPFLAGS) $(PKGC) $(CFLAGS) $< $(LIB) -o $@ $(LDFLAGS) $(LIBS)

$(B)/bench/%: tests/bench/%.c $(LIB)
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(FLAGS) $(CPPFLAGS) $(PKGC) $(CFLAGS) $< $(LIB) -o $@ $(LDFLAGS) $(LIBS)

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

run: all
	@run/main_job $(NP)

check: all
	@$(MAKE) check-unit check-system

check-unit: $(UNIT)
	@tests/unit/run $(B)/unit

check-system: bin/halocline
	@HALOCLINE=$(abspath $(EXE)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/system -m "not long"

check-long: all
	@HALOCLINE_LONG=1 $(MAKE) check-unit
	@HALOCLINE=$(abspath $(EXE)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/system

bench: all
	@$(MAKE) $(BENCH)
	@$(PYTHON) tests/bench/run.py --build $(B)

scaling: all
	@$(MAKE) $(BENCH)
	@$(PYTHON) run/scaling/scaling.py --build $(B)

docs: all
	@$(PYTHON) docs/generate.py --exe $(EXE)

format:
	@clang-format -i $(shell git ls-files '*.c' '*.h')

lint:
	@clang-format --dry-run -Werror $(shell git ls-files '*.c' '*.h') && echo "format is clean"

install: all
	@install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/halocline
	@install -m 755 $(EXE) $(DESTDIR)$(PREFIX)/bin/halocline
	@install -m 644 $(LIB) $(DESTDIR)$(PREFIX)/lib/
	@install -m 644 include/halocline/*.h $(DESTDIR)$(PREFIX)/include/halocline/
	@printf 'prefix=%s\nlibdir=$${prefix}/lib\nincludedir=$${prefix}/include\n\nName: halocline\nDescription: mean field games, relativistic stars and optimal control on distributed grids\nVersion: %s\nRequires: %s\nCflags: -I$${includedir}\nLibs: -L$${libdir} -lhalocline -lm\n' '$(PREFIX)' '$(VERSION)' '$(PACKAGES)' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/halocline.pc

clean:
	@rm -rf build bin
