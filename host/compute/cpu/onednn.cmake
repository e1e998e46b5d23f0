# oneDNN, which multiplies with AMX tiles where the own kernels have none. It is optional: target vlm_onednn is always there, and
# carries VLM_HAVE_ONEDNN=1 only when oneDNN >= 3.2 was found, in .onednn/ (tools/setup/onednn.sh) or on the system. It has to
# be a build that runs on OpenMP or on one thread: work is cut by our own thread pool, and oneDNN must not start threads beside it.
option(VLM_ONEDNN "Use oneDNN for dense products where it is the faster choice" ON)
add_library(vlm_onednn INTERFACE)
set(VLM_ONEDNN_DIR ${CMAKE_SOURCE_DIR}/.onednn)
set(VLM_ONEDNN_FOUND "")
if(VLM_ONEDNN AND EXISTS ${VLM_ONEDNN_DIR}/lib/libdnnl.so.3 AND EXISTS ${VLM_ONEDNN_DIR}/include/oneapi/dnnl/dnnl.hpp)
    add_library(vlm_dnnl SHARED IMPORTED)
    set_target_properties(vlm_dnnl PROPERTIES IMPORTED_LOCATION ${VLM_ONEDNN_DIR}/lib/libdnnl.so.3 IMPORTED_SONAME libdnnl.so.3
                          INTERFACE_INCLUDE_DIRECTORIES ${VLM_ONEDNN_DIR}/include)
    target_link_libraries(vlm_onednn INTERFACE vlm_dnnl)
    set(VLM_ONEDNN_FOUND ${VLM_ONEDNN_DIR})
    # In a folder of our own, so that it meets no other oneDNN of the system, and found from wherever the tree was installed to.
    install(FILES ${VLM_ONEDNN_DIR}/lib/libdnnl.so.3 DESTINATION ${CMAKE_INSTALL_LIBDIR}/vlm COMPONENT host)
    list(APPEND CMAKE_INSTALL_RPATH "$ORIGIN/vlm" "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/vlm")
elseif(VLM_ONEDNN)
    find_package(dnnl 3.2 QUIET CONFIG)
    if(dnnl_FOUND AND DNNL_CPU_RUNTIME MATCHES "^(OMP|SEQ)$")
        target_link_libraries(vlm_onednn INTERFACE DNNL::dnnl)
        set(VLM_ONEDNN_FOUND ${dnnl_DIR})
    endif()
endif()
if(VLM_ONEDNN_FOUND)
    target_compile_definitions(vlm_onednn INTERFACE VLM_HAVE_ONEDNN=1)
    # For omp_set_num_threads, by which oneDNN is kept to the thread that calls it.
    target_link_libraries(vlm_onednn INTERFACE gomp)
    message(STATUS "oneDNN: ${VLM_ONEDNN_FOUND}")
else()
    message(STATUS "oneDNN: not used (tools/setup/onednn.sh installs it); dense products run on the own kernels")
endif()
