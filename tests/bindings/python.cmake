# The wheel is built as a user builds it, without network, unpacked, and only this copy is tested.
vlm_add_binding_test(python_wheel ${CMAKE_CURRENT_SOURCE_DIR}/python_wheel.sh ${VLM_SYSTEM_PYTHON} ${VLM_BINDINGS_DIR}/python ${VLM_BINDINGS_WORK})
set_tests_properties(bindings/python_wheel PROPERTIES FIXTURES_SETUP vlm_python)
vlm_add_binding_test(python_layout ${VLM_SYSTEM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/layout.py $<TARGET_FILE:vlm_layout> python)
vlm_add_binding_test(python ${VLM_SYSTEM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/python_test.py ${CMAKE_SOURCE_DIR})
vlm_add_binding_test(python_sample ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/sample.py ${CMAKE_SOURCE_DIR} ${VLM_SYSTEM_PYTHON}
                     ${CMAKE_SOURCE_DIR}/samples/python/read.py)
vlm_add_binding_test(python_types ${CMAKE_CURRENT_SOURCE_DIR}/python_types.sh ${CMAKE_SOURCE_DIR} ${VLM_BINDINGS_WORK})
set_tests_properties(bindings/python_layout bindings/python bindings/python_types bindings/python_sample PROPERTIES FIXTURES_REQUIRED vlm_python)
