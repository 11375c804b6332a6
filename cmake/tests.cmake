# SPDX-License-Identifier: MIT
#
# weir_add_tests(<name> SOURCES file... [SUFFIX s] [ENV key=value...] [TIMEOUT s] [LABELS l...])
#
# Makes the executable <name> from the sources, unless an earlier call did, and registers every
# CASE(x) in them as the test <name>[.<suffix>].<x>, each a process of its own. The cases are read
# from the sources at configure time; a change of a source configures again.
function(weir_add_tests name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SUFFIX;TIMEOUT" "SOURCES;ENV;LABELS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 180) # of a hang: a slow machine alone takes a minute for some under a sanitizer
  endif()
  set(prefix ${name})
  if(arg_SUFFIX)
    string(APPEND prefix .${arg_SUFFIX})
  endif()

  if(NOT TARGET ${name})
    add_executable(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests
                                               ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${name} PRIVATE weir_test_support weir weir_flags Threads::Threads)
  endif()

  foreach(source IN LISTS arg_SOURCES)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    file(STRINGS ${source} lines REGEX "^CASE\\([A-Za-z0-9_]+\\)")
    if(NOT lines)
      message(FATAL_ERROR "${source} has no CASE(name) at the start of a line")
    endif()
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^CASE\\(([A-Za-z0-9_]+)\\).*" "\\1" case "${line}")
      add_test(NAME ${prefix}.${case} COMMAND ${name} ${case})
      set_tests_properties(${prefix}.${case} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${arg_TIMEOUT}
                           LABELS "${arg_LABELS}" ENVIRONMENT "${arg_ENV}")
    endforeach()
  endforeach()
endfunction()
