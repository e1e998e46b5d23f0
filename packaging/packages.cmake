# What is installed besides the libraries themselves, and the Debian packages: one per component.
#   host     libvlmhost, the command line tool
#   plugins  the plugins and recipes
#   dev      headers, the SDK for plugins, CMake package, pkg-config file, bindings, sample sources
#   models   the shipped reader and the medical sample that uses it
#   cuda     the compute library for NVIDIA GPUs, where it was built
file(RELATIVE_PATH VLM_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" VLM_PC_PREFIX ${VLM_PC_PREFIX})
configure_file(packaging/vlmhost.pc.in ${CMAKE_BINARY_DIR}/vlmhost.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/vlmhost.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

# The folders lie to each other as in the source tree, so that relative paths in the sample's manifest stay right.
set(VLM_SHARE ${CMAKE_INSTALL_DATADIR}/vlm)
install(DIRECTORY models/rx-small DESTINATION ${VLM_SHARE}/models COMPONENT models)
install(FILES samples/medical/medical.json samples/medical/drugs.csv samples/medical/answer.gbnf samples/medical/prescription.png
        DESTINATION ${VLM_SHARE}/samples/medical COMPONENT models)
install(DIRECTORY plugins/drug_validator/data DESTINATION ${VLM_SHARE}/plugins/drug_validator COMPONENT models FILES_MATCHING PATTERN "*.csv")
install(DIRECTORY samples/manifests DESTINATION ${VLM_SHARE}/samples COMPONENT plugins)
install(DIRECTORY samples/c samples/csharp samples/python samples/rust samples/vendor_plugin samples/vendor_plugin_c samples/vendor_reducer
        DESTINATION ${VLM_SHARE}/samples COMPONENT dev PATTERN "__pycache__" EXCLUDE PATTERN "target" EXCLUDE PATTERN "Cargo.lock" EXCLUDE)
install(DIRECTORY bindings/csharp bindings/python bindings/rust DESTINATION ${VLM_SHARE}/bindings COMPONENT dev
        PATTERN "__pycache__" EXCLUDE PATTERN "build" EXCLUDE PATTERN "*.egg-info" EXCLUDE PATTERN "target" EXCLUDE PATTERN "Cargo.lock" EXCLUDE
        PATTERN "bin" EXCLUDE PATTERN "obj" EXCLUDE)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)

# Last of the rules of `plugins`: what is signed is what lies there, stripped and with its final search path.
install(CODE "set(vlm_signing_tool \"$<TARGET_FILE:vlmhost_cli>\")" COMPONENT plugins)
install(SCRIPT ${CMAKE_CURRENT_LIST_DIR}/sign_plugins.cmake COMPONENT plugins)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME vlmhost)
set(CPACK_PACKAGE_VENDOR "The VLM host SDK maintainers")
set(CPACK_PACKAGE_CONTACT "maintainers@vlmhost.org")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL host plugins dev models)
if(TARGET vlm_compute_cuda)
    list(APPEND CPACK_COMPONENTS_ALL cuda)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_HOST_PACKAGE_NAME vlmhost)
set(CPACK_DEBIAN_HOST_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_HOST_PACKAGE_RECOMMENDS vlmhost-plugins)
set(CPACK_DEBIAN_HOST_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/triggers)
set(CPACK_DEBIAN_PLUGINS_PACKAGE_NAME vlmhost-plugins)
set(CPACK_DEBIAN_PLUGINS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME vlmhost-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "vlmhost (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DEV_PACKAGE_RECOMMENDS nlohmann-json3-dev)
set(CPACK_DEBIAN_MODELS_PACKAGE_NAME vlmhost-models)
set(CPACK_DEBIAN_MODELS_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_MODELS_PACKAGE_DEPENDS vlmhost-plugins)
set(CPACK_DEBIAN_CUDA_PACKAGE_NAME vlmhost-cuda)
# Debian has no package of the cuBLAS that this is linked with, so nothing can be looked up: NVIDIA's repository has it, by this name.
set(CPACK_DEBIAN_CUDA_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_CUDA_PACKAGE_DEPENDS "vlmhost (= ${PROJECT_VERSION}), libc6 (>= 2.34), libstdc++6 (>= 12), libgcc-s1")
if(TARGET vlm_compute_cuda)
    get_target_property(CPACK_DEBIAN_CUDA_PACKAGE_RECOMMENDS vlm_compute_cuda VLM_CUBLAS_PACKAGE)
endif()
include(CPack)
