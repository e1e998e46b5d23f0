# Runs at the end of an installation of the component `plugins`: with the environment variable VLM_SIGNING_KEY, a file as
# `vlmhost keygen` writes it, each plugin that was just installed is signed with it (docs/trust.md). Plugins of others that
# lie in the same folder are left as they are.
if(NOT "$ENV{VLM_SIGNING_KEY}" STREQUAL "")
    get_filename_component(vlm_signing_key "$ENV{VLM_SIGNING_KEY}" ABSOLUTE)
    set(vlm_installed ${CMAKE_INSTALL_MANIFEST_FILES})
    list(FILTER vlm_installed INCLUDE REGEX "/vlm/plugins/libvlm_[^/]*\\.so$")
    if(NOT vlm_installed)
        message(FATAL_ERROR "VLM_SIGNING_KEY is set, but no plugin was installed that could be signed")
    endif()
    foreach(vlm_plugin IN LISTS vlm_installed)
        execute_process(COMMAND ${vlm_signing_tool} sign $ENV{DESTDIR}${vlm_plugin} --key ${vlm_signing_key}
                        RESULT_VARIABLE vlm_status OUTPUT_QUIET ERROR_VARIABLE vlm_why)
        if(NOT vlm_status EQUAL 0)
            message(FATAL_ERROR "${vlm_plugin} cannot be signed with VLM_SIGNING_KEY: ${vlm_why}")
        endif()
        message(STATUS "Signed: ${vlm_plugin}")
    endforeach()
endif()
