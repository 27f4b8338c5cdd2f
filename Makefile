# tailwater: two shared libraries (tailwater.so, and tailwater_gateway.so which
# alone links libwebsockets), one install script composed from the folders' parts.
# `make help` lists what a developer needs.

EXTENSION = tailwater
EXTVERSION = 0.1.0

# The order in which data flows; src/README.md, src/main.cpp and the install script follow it.
FOLDERS = base pg catalog circuit analyze capture exec state feed decode maintain ddl tail worker monitor
GATEWAY_FOLDERS = wire auth gateway
# What the unit tests link; compiled for them without the server's headers.
PURE_FOLDERS = base circuit wire auth gateway/core

SQL_SCRIPT = tailwater--$(EXTVERSION).sql
SQL_PARTS = $(foreach d,$(FOLDERS) $(GATEWAY_FOLDERS),$(wildcard src/$(d)/*.sql))

MODULE_big = tailwater
SOURCES = src/main.cpp src/settings.cpp $(foreach d,$(FOLDERS),$(sort $(wildcard src/$(d)/*.cpp)))
OBJS = $(SOURCES:.cpp=.o)
GATEWAY_SOURCES = $(foreach d,base $(GATEWAY_FOLDERS),$(sort $(wildcard src/$(d)/*.cpp src/$(d)/core/*.cpp)))
GATEWAY_OBJS = $(GATEWAY_SOURCES:.cpp=.o)
GATEWAY_LIB = tailwater_gateway.so

DATA_built = $(SQL_SCRIPT)
EXTRA_CLEAN = $(GATEWAY_OBJS) $(GATEWAY_LIB) $(SQL_SCRIPT) $(OBJS:.o=.d) $(GATEWAY_OBJS:.o=.d) build

PG_CONFIG ?= pg_config
export PG_CONFIG
CXXFLAGS_TW = -std=c++17 -O2 -g -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-register -Wno-sign-compare -fvisibility=hidden -fno-omit-frame-pointer -fPIC
PG_CPPFLAGS = -Isrc
SHLIB_LINK = -lstdc++
override with_llvm := no

.DEFAULT_GOAL := all

# What a developer needs (make help) is in a file of its own: those targets also work on a machine that
# has no PostgreSQL yet, and PGXS has a target `check` that only complains.
DEVELOPER_TARGETS = help ready check check-one demo demo-stop scratch format lint fuzz bench
ifeq ($(filter-out $(DEVELOPER_TARGETS),$(or $(MAKECMDGOALS),all)),)
include tools/targets.mk
else

PGXS := $(shell $(PG_CONFIG) --pgxs)
SERVER_INCLUDES := $(shell $(PG_CONFIG) --includedir-server)
include $(PGXS)

override COMPILER = $(CXX) $(CXXFLAGS_TW)

# -MMD: the compiler notes which headers an object was made from.
%.o: %.cpp
	$(CXX) $(CXXFLAGS_TW) $(EXTRA_CXXFLAGS) -MMD -MP -Isrc -isystem $(SERVER_INCLUDES) -D_GNU_SOURCE -c -o $@ $<
-include $(OBJS:.o=.d) $(GATEWAY_OBJS:.o=.d)

# Composed at every build, replaced only if it differs: a part that went away is noticed, too.
$(SQL_SCRIPT): FORCE
	@{ printf '%s\n' '-- complain if the script is sourced in psql rather than through CREATE EXTENSION' \
		'\echo Use "CREATE EXTENSION tailwater" to load this file. \quit'; cat $(SQL_PARTS); } > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
FORCE:
.PHONY: FORCE

all: $(GATEWAY_LIB)

ifneq ($(strip $(foreach d,$(GATEWAY_FOLDERS),$(wildcard src/$(d)/*.cpp))),)
$(GATEWAY_LIB): $(GATEWAY_OBJS)
	$(CXX) -shared -o $@ $(GATEWAY_OBJS) -lwebsockets -luv -lcrypto -lstdc++

install: install-gateway
install-gateway: $(GATEWAY_LIB)
	$(INSTALL_SHLIB) $(GATEWAY_LIB) '$(DESTDIR)$(pkglibdir)/$(GATEWAY_LIB)'
else
$(GATEWAY_LIB):
	@true
endif

# ---- unit tests: one program each, linked with the pure folders, no server in sight ----
PURE_SOURCES = $(foreach d,$(PURE_FOLDERS),$(sort $(wildcard src/$(d)/*.cpp)))
PURE_OBJS = $(patsubst src/%.cpp,build/unit/%.o,$(PURE_SOURCES))
UNIT_TESTS = $(patsubst pg_regress/unit/%.cpp,build/unit/%,$(sort $(wildcard pg_regress/unit/test_*.cpp)))
COMPILE_PURE = $(CXX) $(CXXFLAGS_TW) $(EXTRA_CXXFLAGS) -MMD -MP -Isrc -D_GNU_SOURCE

.PHONY: unit-tests
.SECONDARY: $(PURE_OBJS)
unit-tests: $(UNIT_TESTS)
build/unit/%.o: src/%.cpp
	@mkdir -p $(@D)
	$(COMPILE_PURE) -c -o $@ $<
build/unit/test_%: pg_regress/unit/test_%.cpp $(PURE_OBJS)
	@mkdir -p $(@D)
	$(COMPILE_PURE) -o $@ $< $(PURE_OBJS) -lcmocka -lcrypto
-include $(PURE_OBJS:.o=.d) $(UNIT_TESTS:=.d)

endif # of the developers' targets
