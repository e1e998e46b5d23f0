# Runs `vlmhost parity --device cuda` for one folder; says "skipped: " with the reason where there is no GPU.
execute_process(COMMAND ${PROGRAM} parity --device cuda ${FOLDER} RESULT_VARIABLE status OUTPUT_VARIABLE output
                ERROR_VARIABLE error)
if("${output}${error}" MATCHES "device 'cuda:0': ([^\n]*(no CUDA compute library|no NVIDIA driver|driver is too old|shows no GPU)[^\n]*)")
    message(STATUS "skipped: ${CMAKE_MATCH_1}")
    return()
endif()
message(STATUS "${output}${error}")
if(NOT status EQUAL 0)
    message(FATAL_ERROR "parity on the CUDA device ended with status ${status}")
endif()
