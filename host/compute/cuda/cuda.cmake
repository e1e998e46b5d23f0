# libvlm_compute_cuda.so: a library of its own, built where the CUDA toolkit is and opened on demand. VLM_CUDA is auto (by whether
# nvcc is found), on (fail without) or off.
set(VLM_CUDA auto CACHE STRING "Build the CUDA compute library: auto, on or off")
set_property(CACHE VLM_CUDA PROPERTY STRINGS auto on off)
set(VLM_CUDA_COMMON_SOURCES arena attention_check attention_ops element_ops fp8_products fuse_epilogue graph_check heuristic_cache kv_cache library linear_ops linear_pack memory pending_decodes product_check
                            row_ops self_check state steps token_ops top_logits_ops view driver_errors)
list(TRANSFORM VLM_CUDA_COMMON_SOURCES REPLACE "(.+)" "${CMAKE_SOURCE_DIR}/host/compute/cuda/\\1.cpp")
# What it shares with the host.
list(APPEND VLM_CUDA_COMMON_SOURCES ${CMAKE_SOURCE_DIR}/host/base/tensor.cpp ${CMAKE_SOURCE_DIR}/host/compute/cpu/view.cpp
     ${CMAKE_SOURCE_DIR}/host/compute/taps.cpp ${CMAKE_SOURCE_DIR}/host/compute/weight_policy.cpp)
set(VLM_CUDA_KERNEL_SOURCES rows elements tokens dense few_rows row_tiles fp8 quantise attention attention_tiles attention_decode top_logits)
list(TRANSFORM VLM_CUDA_KERNEL_SOURCES REPLACE "(.+)" "${CMAKE_SOURCE_DIR}/host/compute/cuda/\\1.cu")

string(TOLOWER "${VLM_CUDA}" vlm_cuda_wish)
# The tests compile the same files with a C++ compiler.
set(VLM_CUDA_COMMON_SOURCES ${VLM_CUDA_COMMON_SOURCES} CACHE INTERNAL "")
set(VLM_CUDA_KERNEL_SOURCES ${VLM_CUDA_KERNEL_SOURCES} CACHE INTERNAL "")
set(VLM_HAS_CUDA FALSE)
if(NOT vlm_cuda_wish MATCHES "^(off|0|false|no)$")
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
        execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE vlm_nvcc_version)
        if(NOT CMAKE_CUDA_ARCHITECTURES AND vlm_nvcc_version MATCHES "release 12\\.[0-7][^0-9]")  # does not know Blackwell
            set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
        elseif(NOT CMAKE_CUDA_ARCHITECTURES)
            set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100-real 100-virtual)
        endif()
        if(VLM_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
            set(CMAKE_CUDA_COMPILER_LAUNCHER ${VLM_CCACHE})
        endif()
        enable_language(CUDA)
        if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know the flag
            set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
            set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
        endif()
        find_package(CUDAToolkit 12)
        set(VLM_HAS_CUDA ${CUDAToolkit_FOUND})
    endif()
    if(NOT VLM_HAS_CUDA AND NOT vlm_cuda_wish STREQUAL "auto")
        message(FATAL_ERROR "VLM_CUDA is ${VLM_CUDA}, but no CUDA toolkit of version 12 or later was found (nvcc in the PATH, or CUDACXX)")
    endif()
endif()
if(NOT VLM_HAS_CUDA)
    message(STATUS "CUDA compute library: not built (VLM_CUDA=${VLM_CUDA}, no CUDA toolkit found or not wanted)")
    return()
endif()
message(STATUS "CUDA compute library: CUDA ${CUDAToolkit_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")

add_library(vlm_compute_cuda SHARED ${VLM_CUDA_COMMON_SOURCES} ${VLM_CUDA_KERNEL_SOURCES}
            ${CMAKE_SOURCE_DIR}/host/compute/cuda/dense_products.cpp ${CMAKE_SOURCE_DIR}/host/compute/cuda/cuda_runtime.cu)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # overlaps in std::string that are not there (GCC bug 105651)
    set_source_files_properties(${CMAKE_SOURCE_DIR}/host/compute/cuda/dense_products.cpp PROPERTIES COMPILE_OPTIONS -Wno-restrict)
endif()
# The codes of quantised weights are those of the CPU device to the bit.
set_source_files_properties(${CMAKE_SOURCE_DIR}/host/compute/cuda/quantise.cu PROPERTIES COMPILE_OPTIONS -fmad=false)
set_target_properties(vlm_compute_cuda PROPERTIES CUDA_VISIBILITY_PRESET hidden
                      CUDA_RUNTIME_LIBRARY Static LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
target_include_directories(vlm_compute_cuda PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(vlm_compute_cuda PRIVATE vlm_abi Threads::Threads CUDA::cudart_static CUDA::cublasLt)
target_compile_options(vlm_compute_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow>
                       $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${VLM_WERROR}>>:-Werror>)
target_link_options(vlm_compute_cuda PRIVATE LINKER:--version-script=${CMAKE_SOURCE_DIR}/host/compute/cuda/library.map
                    LINKER:--exclude-libs,ALL LINKER:--no-undefined)
set_target_properties(vlm_compute_cuda PROPERTIES VLM_CUBLAS_PACKAGE libcublas-${CUDAToolkit_VERSION_MAJOR}-${CUDAToolkit_VERSION_MINOR})
install(TARGETS vlm_compute_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/vlm COMPONENT cuda)
