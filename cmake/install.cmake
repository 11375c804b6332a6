# SPDX-License-Identifier: MIT
#
# What `cmake --install` puts where, and the two ways to find it again: weir.pc for pkg-config and
# weirConfig.cmake for find_package. Both are relative to where they lie, so a prefix can be moved.
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS weir weir_shared EXPORT weir)
install(EXPORT weir NAMESPACE weir:: FILE weirTargets.cmake DESTINATION ${config_dir})

configure_package_config_file(cmake/weirConfig.cmake.in weirConfig.cmake
                              INSTALL_DESTINATION ${config_dir}
                              NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(weirConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weirConfig.cmake ${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
        DESTINATION ${config_dir})

if(WEIR_URING)
  set(pc_requires "liburing >= 2.3")
endif()
cmake_path(SET pc_full_dir NORMALIZE "${CMAKE_INSTALL_PREFIX}/${pc_dir}")
file(RELATIVE_PATH pc_prefix ${pc_full_dir} ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/weir.pc.in weir.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/weir.pc DESTINATION ${pc_dir})

# For gdb: once where people find it, and once where gdb looks for the scripts of the shared library,
# by its full name, which is known when the prefix is. docs/design/gdb.md
install(FILES tools/weir-gdb.py DESTINATION ${CMAKE_INSTALL_DATADIR}/weir)
install(FILES tools/weir-gdb.py RENAME libweir.so.${PROJECT_VERSION}-gdb.py
        DESTINATION ${CMAKE_INSTALL_DATADIR}/gdb/auto-load\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR})

# Runs a simulated program with many seeds: docs/guide/10-simulation.md
install(PROGRAMS tools/weir-sim TYPE BIN)
