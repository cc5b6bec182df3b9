# SPDX-License-Identifier: GPL-2.0-or-later
#
# Front door of the af-xdp netdev project: see "make help".

SHELL := /bin/bash
BUILD ?= build

# Every script below finds its directories and settings in the environment.
export BUILD QEMU_SRC APT_MIRROR DEPS V

.PHONY: help build check fuzz demo netkit-shell bench bench-core series clean \
        distclean
.DEFAULT_GOAL := help

help:
	@echo 'Targets:'
	@echo '  make build      QEMU with our af-xdp: $(BUILD)/bin/qemu-system-x86_64,'
	@echo '                  and the tools beside it, qemu-af-xdp and qemu-af-xdp-domain'
	@echo '  make demo       build, then a guest and the host exchange packets over veth'
	@echo '  make check      build, then run every test suite and print a summary: about'
	@echo '                  45 minutes on 2 cores, beside the build'
	@echo '  make netkit-shell'
	@echo '                  a prompt in a VM with a kernel that has netkit, and two NICs'
	@echo '  make fuzz       look for inputs that break the core, 10 minutes a target;'
	@echo '                  what it finds goes to $(BUILD)/fuzz/'
	@echo '  make bench      measure packets against the bare socket, upstream and tap (root)'
	@echo '  make bench-core measure what a packet costs in the core alone, without a kernel'
	@echo '  make series     the whole work as a mailbox for git am: $(BUILD)/series/'
	@echo '  make clean      remove what was built, keep the downloads'
	@echo '  make distclean  remove $(BUILD)/ altogether'
	@echo
	@echo 'Variables:'
	@echo '  BUILD=DIR       where everything generated goes (build)'
	@echo '  QEMU_SRC=DIR    use this QEMU source tree instead of the distribution'"'"'s;'
	@echo '                  it is copied, never changed'
	@echo '  APT_MIRROR=URI  Debian mirror to use instead of the one apt is set up with'
	@echo '  DEPS=no         neither check for nor install packages'
	@echo '  SUITE="A B"     make check: only these suites:'
	@echo '                  $(shell ls tests/suites.d | sed 's/^[0-9]*-//')'
	@echo '  V=1             show the output of every step'
	@echo
	@echo 'Variables of make fuzz:'
	@echo '  SECONDS=N       for each target (600)'
	@echo '  TARGET=NAME     this one only: $(patsubst tests/fuzz/fuzz-%.c,%,$(wildcard tests/fuzz/fuzz-*.c))'
	@echo
	@echo 'Variables of make netkit-shell (more: scripts/run-in-vm --help):'
	@echo '  NIC=KIND        of the VM: virtio, igb, test or none (virtio)'
	@echo
	@echo 'Variables of make bench (more: scripts/bench --help, tests/bench/README.rst):'
	@echo '  QUICK=1         short, not to be quoted'
	@echo '  COMPARE=FILE    with the JSON file of an earlier run'
	@echo '  UPSTREAM=FILE   this QEMU for the rows of upstream and tap'
	@echo
	@echo 'Variables of make bench-core:'
	@echo '  MS=N            milliseconds for each figure (50)'
	@echo '  CASE=PREFIX     these only, as in "tx/split" or "rx/packed/two/64"'
	@echo
	@echo 'Variables of make demo:'
	@echo '  QUEUES=N        queue pairs of the netdev and of the veth pair, 1 to 16 (1)'
	@echo '  NIC=DEVICE      network card of the guest, as in "e1000e" (virtio-net-pci)'
	@echo '  MTU=BYTES       of the veth pair and the guest (1500)'
	@echo '  SECONDS=N       length of each TCP run (4)'
	@echo '  NETDEV=OPTIONS  more options of the netdev, as in "mode=skb"'
	@echo '  CONSOLE=1       no TCP; the guest'"'"'s console instead, Ctrl-] ends'
	@echo '  QEMU_BIN=FILE   run this QEMU instead of the one that was built'

build:
	@scripts/build

# What the user gave is checked before anything is built with it.
check:
	@scripts/run-tests --check $(SUITE)
	@scripts/build check
	@scripts/run-tests $(SUITE)

demo:
	@scripts/demo --check
	@scripts/build $(if $(QEMU_BIN),demo-only,demo)
	@scripts/demo

netkit-shell:
	@scripts/build demo
	@scripts/run-in-vm --nic '$(or $(NIC),virtio)'

fuzz:
	@scripts/fuzz '$(or $(SECONDS),600)' '$(TARGET)'

bench:
	@scripts/build
	@scripts/bench

bench-core:
	@scripts/bench-core '$(or $(MS),50)' '$(CASE)'

series:
	@scripts/build series
	@scripts/series

clean:
	@scripts/clean

distclean:
	@scripts/clean --all
