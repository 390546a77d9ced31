# SPDX-License-Identifier: GPL-2.0-or-later
#
# The doors of the house. Each does all the set-up it needs: missing Debian packages (tools/setup),
# the build directory, guest images (cache/). The build itself is meson.build.

BUILD := build

.PHONY: all run test test-guests fuzz-cpu chaos lint bench bench-loops format clean help

all: # builds build/trapeze
	@tools/setup build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; rm -f $(BUILD).log; exit 1; }; rm -f $(BUILD).log
	@ninja -C $(BUILD)
	@ln -sf $(BUILD)/compile_commands.json compile_commands.json

run: # boots Debian's kernel to a shell on this terminal; Ctrl-A x leaves
	@tools/setup build run
	@$(MAKE) --no-print-directory all
	@tools/guest/run-shell $(BUILD)/trapeze

test: # builds everything and runs every test; TESTS='word ...' picks those whose names hold a word
	@tools/setup build test
	@tools/run-tests $(TESTS)

test-guests: # every guest test, the slow ones too (installers, a pass of memtest86+)
	@tools/setup build test
	@tools/run-tests --slow $(or $(TESTS),guest-)

chaos: # a billion random instructions under sanitizers, minutes; INSTRUCTIONS=n, SEED=n
	@tools/setup build test
	@test -f $(BUILD)-asan/build.ninja || meson setup $(BUILD)-asan -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C $(BUILD)-asan tests/x86/x86-chaos
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 $(BUILD)-asan/tests/x86/x86-chaos $(or $(INSTRUCTIONS),1000000000) $(SEED)

fuzz-cpu: # interpreter against processor, translator against interpreter; CASES=20000000, BLOCKS=5000000, SEED= (default: the time)
	@tools/setup build test
	@$(MAKE) --no-print-directory all
	@$(BUILD)/tests/x86/silicon/cpu-fuzz $(or $(SEED),$(shell date +%s)) $(or $(CASES),20000000) $$(nproc)
	@$(BUILD)/tests/x86/silicon/cpu-fuzz $(or $(SEED),$(shell date +%s)) $(or $(CASES),20000000) $$(nproc) dbt
	@$(BUILD)/tests/x86/blocks/x86-blocks $(or $(SEED),$(shell date +%s)) $(or $(BLOCKS),5000000) interp dbt
	@$(BUILD)/tests/x86/blocks/x86-blocks $(or $(SEED),$(shell date +%s)) $$(($(or $(BLOCKS),5000000) / 10)) interp lockstep

lint: # cppcheck and clang-tidy over src/
	@tools/setup build lint
	@$(MAKE) --no-print-directory all
	@tools/lint $(BUILD)

bench: # speed beside qemu-system-x86_64 -accel tcg and the host; OPTIONS='--engine dbt --only fork' (bench/run -h)
	@tools/setup build run bench
	@$(MAKE) --no-print-directory all
	@bench/run --trapeze $(BUILD)/trapeze --json $(BUILD)/bench.json $(OPTIONS)

bench-loops: # million instructions a second in loops of a few instructions, beside the same two
	@tools/setup build run bench
	@$(MAKE) --no-print-directory all
	@bench/loops $(BUILD)/trapeze

format: # rewrites C files in the tree's style
	@tools/setup lint
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

clean: # removes what was built; guest images in cache/ stay
	@rm -rf $(BUILD) $(BUILD)-asan compile_commands.json

help: # lists the doors
	@sed -n 's/^\([a-z-]*\):.* # /  make \1\t/p; s/^\([a-z-]*\): # /  make \1\t/p' Makefile
