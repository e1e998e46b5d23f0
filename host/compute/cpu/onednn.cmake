# oneDNN is not needed to build or run: the kernels in this folder do the dense work themselves, because packed weights, fused
# epilogues and a result that is the same for every number of threads have to come from one place. Where a oneDNN of at least 3.2
# is installed (a system package, or the wheel that tools/setup/onednn.sh unpacks), the micro-benchmarks measure it beside them.
add_library(vlm_onednn INTERFACE)
set(VLM_ONEDNN_ROOT "${CMAKE_SOURCE_DIR}/.onednn" CACHE PATH "Folder that tools/setup/onednn.sh fills")
find_package(dnnl 3.2 QUIET CONFIG HINTS "${VLM_ONEDNN_ROOT}" PATH_SUFFIXES lib/cmake/dnnl lib64/cmake/dnnl)
if(dnnl_FOUND)
    message(STATUS "oneDNN ${dnnl_VERSION}: measured by the benchmarks")
endif()
