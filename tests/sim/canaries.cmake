# SPDX-License-Identifier: MIT
#
# Known bugs, put back one at a time into the one object that each lives in: the linker takes that one
# before the library's. A scenario must find each; without it, the same scenario must find nothing.

add_library(weir_scenario INTERFACE)
target_include_directories(weir_scenario INTERFACE ${PROJECT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(weir_scenario INTERFACE weir weir_flags Threads::Threads)

function(weir_add_scenario name scenario source) # [definitions]
  add_executable(${name} ${CMAKE_CURRENT_SOURCE_DIR}/sim/${scenario}.c check.c ${source})
  target_link_libraries(${name} PRIVATE weir_scenario)
  target_compile_definitions(${name} PRIVATE ${ARGN})
endfunction()

weir_add_scenario(sim_churn churn "")
weir_add_scenario(sim_cores cores "${pointed}" WEIR_POINTS)

# The bug's number in src/base/canary.h, and where it lives.
set(canaries
    "cancel_frees 1 churn src/op/engine.c"
    "early_timer 2 churn src/op/engine.c"
    "lost_wake 3 cores src/task/core.c"
    "slot_at_close 4 churn src/net/close.c"
    "parallel_sends 5 churn src/net/send.c")
foreach(canary IN LISTS canaries)
  separate_arguments(canary)
  list(GET canary 0 name)
  list(GET canary 1 number)
  list(GET canary 2 scenario)
  list(GET canary 3 source)
  set(sources ${PROJECT_SOURCE_DIR}/${source})
  set(points)
  if(scenario STREQUAL cores)
    set(sources ${pointed})
    set(points WEIR_POINTS)
  endif()
  weir_add_scenario(sim_canary_${name} ${scenario} "${sources}" WEIR_CANARY=${number} ${points})
  add_test(NAME sim.canary.${name}
           COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/sim/canary.py
                   $<TARGET_FILE:sim_${scenario}> $<TARGET_FILE:sim_canary_${name}>)
  set_tests_properties(sim.canary.${name} PROPERTIES LABELS sim TIMEOUT 300)
endforeach()
