# Two compilers where there are two: Debian's, and whatever cargo is first in the path.
foreach(which debian path)
    vlm_add_binding_test(rust_${which} ${CMAKE_CURRENT_SOURCE_DIR}/rust.sh ${which} ${CMAKE_SOURCE_DIR} $<TARGET_FILE_DIR:vlmhost>
                         ${VLM_BINDINGS_WORK}/rust-${which} $<TARGET_FILE:vlm_layout> ${Python3_EXECUTABLE})
endforeach()
