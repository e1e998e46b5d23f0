vlm_add_binding_test(csharp ${CMAKE_CURRENT_SOURCE_DIR}/csharp.sh ${CMAKE_SOURCE_DIR} ${VLM_BINDINGS_WORK}/csharp $<TARGET_FILE:vlm_layout>
                     ${Python3_EXECUTABLE})
