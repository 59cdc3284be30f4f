# SPDX-License-Identifier: Apache-2.0
# The project's face. Every target works alone on a fresh Debian 12: it installs and builds what it needs first.
.DEFAULT_GOAL := help
JOBS ?= $(shell nproc)
SECONDS ?= 45
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(JOBS)
CTEST := ctest --parallel $(JOBS) --preset

.NOTPARALLEL:
.PHONY: help setup packages build demo test test-all fuzz coverage package bench format lint clean

help:  ## this list
	@echo "Tacit: classify images that the server never sees."
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup:  ## install the Debian and JavaScript packages that are missing
	@tools/setup

packages:
	@tools/setup tools/packages.txt

build: setup build-release  ## build the programs into build/release/bin

# One target for each preset of CMakePresets.json.
build-%: packages
	@test -e build/$*/build.ninja || cmake --preset $*
	@cmake --build --preset $*

demo: build  ## encrypt real images, have a local server classify them, show results and costs
	@tools/demo

test: setup build  ## every fast test
	@$(CTEST) release --label-exclude slow

test-all: test build-asan build-tsan fuzz  ## the slow tests and the fuzz targets too, and all fast tests under the sanitizers
	@$(CTEST) release --label-regex slow
	@$(CTEST) asan --label-exclude slow
	@$(CTEST) tsan --label-exclude slow

fuzz: packages  ## the fuzz targets on all cores, SECONDS=45 each: executions and crashes
	@tools/setup tools/packages_fuzz.txt
	@test -e build/fuzz/build.ninja || cmake --preset fuzz
	@cmake --build --preset fuzz
	@tools/fuzz --seconds $(SECONDS)

coverage: packages  ## how much of the sources the fast tests execute, by folder; build/coverage/html line by line
	@tools/setup tools/packages_fuzz.txt
	@test -e build/coverage/build.ninja || cmake --preset coverage
	@cmake --build --preset coverage
	@tools/coverage

package: packages  ## Debian packages of both programs, in build/package
	@test -e build/release/build.ninja || cmake --preset release
	@cmake --build --preset release --target package_files
	@cmake -E rm -rf build/package
	@cpack --config build/release/CPackConfig.cmake
	@cmake -E rm -rf build/package/_CPack_Packages

bench: build  ## the benchmarks: a table, and build/bench/*.json
	@tools/bench

format:  ## lay out the C++ sources as .clang-format says
	@tools/setup tools/packages.txt tools/packages_lint.txt
	@tools/lint --fix-format

lint: build  ## layout, layers, files, and clang-tidy on what differs from HEAD (ALL=1: on everything)
	@tools/setup tools/packages_lint.txt
	@tools/lint $(if $(ALL),--all)

clean:  ## remove everything that was built
	rm -rf build
