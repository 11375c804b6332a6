# SPDX-License-Identifier: MIT
#
# weir_flags: what every object of this repository is compiled with. Only the stack clash probes
# are the users' business too; those are on the library's own interface.

add_library(weir_flags INTERFACE)

set(c_flags
    -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
    -Wpointer-arith -Wcast-qual -Wundef -Wvla -Wdouble-promotion
    -fstack-clash-protection  # a large frame must not jump a task's guard page
    -fno-omit-frame-pointer   # backtraces of parked tasks walk the frames
    -fvisibility=hidden -fno-semantic-interposition
    -ftls-model=initial-exec) # one thread-local, read on every call; no __tls_get_addr
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND c_flags -Wjump-misses-init)
endif()
if(WEIR_WERROR)
  list(APPEND c_flags -Werror)
endif()
target_compile_options(weir_flags INTERFACE "$<$<COMPILE_LANGUAGE:C>:${c_flags}>")

# glibc declares Linux's own calls (accept4) and the names of errors only on request.
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE
                                                WEIR_HAVE_URING=$<BOOL:${WEIR_URING}>)

if(WEIR_SANITIZE)
  target_compile_options(weir_flags INTERFACE
                         "$<$<COMPILE_LANGUAGE:C>:-fsanitize=${WEIR_SANITIZE}>"
                         "$<$<COMPILE_LANGUAGE:C>:-fno-sanitize-recover=all>")
  target_link_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE})
endif()
