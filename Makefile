# tailwater: two shared libraries (tailwater.so, and tailwater_gateway.so which
# alone links libwebsockets), one install script composed from the folders' parts.

EXTENSION = tailwater
EXTVERSION = 0.1.0

# The order in which data flows; src/README.md, src/main.cpp and the install script follow it.
FOLDERS = base pg catalog circuit analyze capture exec state feed maintain ddl tail worker monitor
GATEWAY_FOLDERS = wire auth gateway

SQL_SCRIPT = tailwater--$(EXTVERSION).sql
SQL_PARTS = $(foreach d,$(FOLDERS) $(GATEWAY_FOLDERS),$(wildcard src/$(d)/*.sql))

MODULE_big = tailwater
SOURCES = src/main.cpp src/settings.cpp $(foreach d,$(FOLDERS),$(sort $(wildcard src/$(d)/*.cpp)))
OBJS = $(SOURCES:.cpp=.o)
ALL_HEADERS = $(wildcard src/*.hpp src/*/*.hpp src/*/*/*.hpp)
GATEWAY_SOURCES = $(foreach d,base $(GATEWAY_FOLDERS),$(sort $(wildcard src/$(d)/*.cpp src/$(d)/core/*.cpp)))
GATEWAY_OBJS = $(GATEWAY_SOURCES:.cpp=.o)
GATEWAY_LIB = tailwater_gateway.so

DATA_built = $(SQL_SCRIPT)
EXTRA_CLEAN = $(GATEWAY_OBJS) $(GATEWAY_LIB) $(SQL_SCRIPT)

PG_CONFIG ?= pg_config
CXXFLAGS_TW = -std=c++17 -O2 -g -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-register -Wno-sign-compare -fvisibility=hidden -fno-omit-frame-pointer -fPIC
PG_CPPFLAGS = -Isrc
SHLIB_LINK = -lstdc++
override with_llvm := no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

override COMPILER = $(CXX) $(CXXFLAGS_TW)

%.o: %.cpp $(ALL_HEADERS)
	$(CXX) $(CXXFLAGS_TW) $(EXTRA_CXXFLAGS) -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server) -D_GNU_SOURCE -c -o $@ $<

$(SQL_SCRIPT): $(SQL_PARTS) Makefile
	{ printf '%s\n' '-- complain if the script is sourced in psql rather than through CREATE EXTENSION' \
		'\echo Use "CREATE EXTENSION tailwater" to load this file. \quit'; cat $(SQL_PARTS); } > $@

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
