# SPDX-License-Identifier: Apache-2.0
# One function per kind of target, so that each folder's CMakeLists.txt says only what it is made of.

add_library(tacit_flags INTERFACE)
# No contraction: a product and a sum must round alike in every kernel, or the kernels' results would differ.
# -Wrestrict, -Wstringop-overflow and -Wdangling-pointer are wrong about std::string, std::vector and std::initializer_list in GCC 12
# (bugs 105651, 107852 and 104475).
target_compile_options(tacit_flags INTERFACE -Wall -Wextra -Wshadow -ffp-contract=off
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-stringop-overflow;-Wno-dangling-pointer>)
set(TACIT_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")
# What no test reaches unless it hangs.
set(TACIT_TEST_SECONDS 600)
if(TACIT_SANITIZE)
  set(TACIT_TEST_SECONDS 3600)
  target_compile_options(tacit_flags INTERFACE -fsanitize=${TACIT_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(tacit_flags INTERFACE -fsanitize=${TACIT_SANITIZE})
  # The thread sanitizer knows no fences, and says so wherever Asio has one.
  target_compile_options(tacit_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()

# tacit_layer(NAME LINKS ...): the static library of src/NAME from the sources beside the call.
function(tacit_layer name)
  cmake_parse_arguments(arg "" "" "LINKS;PRIVATE_LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_library(tacit_${name} STATIC ${sources})
  target_include_directories(tacit_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(tacit_${name} PUBLIC tacit_flags ${arg_LINKS} PRIVATE ${arg_PRIVATE_LINKS})
endfunction()

# For tests, which run about once for each time they are compiled, and programs, whose time goes to the layers: to optimise them more
# would take longer than it saves.
add_library(tacit_light_flags INTERFACE)
target_link_libraries(tacit_light_flags INTERFACE tacit_flags)
target_compile_options(tacit_light_flags INTERFACE $<$<CONFIG:Release>:-O1>)

# tacit_program(NAME LINKS ...): an executable from the sources beside the call.
function(tacit_program name)
  cmake_parse_arguments(arg "" "" "LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_executable(${name} ${sources})
  target_compile_definitions(${name} PRIVATE TACIT_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${name} PRIVATE tacit_light_flags ${arg_LINKS})
  # Tables of addresses are filled in at the start and cannot be written after it.
  target_link_options(${name} PRIVATE LINKER:-z,relro,-z,now)
endfunction()

# tacit_tests(NAME LINKS ... [ENVIRONMENT ...]): the GoogleTest executable of tests/NAME from *_test.cpp beside the call.
function(tacit_tests name)
  cmake_parse_arguments(arg "" "" "LINKS;ENVIRONMENT" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_executable(tacit_${name}_tests ${sources})
    target_compile_definitions(tacit_${name}_tests PRIVATE TACIT_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
      TACIT_BINARY_DIR="${CMAKE_BINARY_DIR}")
    target_include_directories(tacit_${name}_tests PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_link_libraries(tacit_${name}_tests PRIVATE tacit_light_flags ${arg_LINKS} GTest::gtest_main)
    gtest_discover_tests(tacit_${name}_tests TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
      PROPERTIES TIMEOUT ${TACIT_TEST_SECONDS} ENVIRONMENT "${arg_ENVIRONMENT}")
  endif()
endfunction()
