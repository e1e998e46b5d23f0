# vlm_add_plugin(<name> <sources>...): the target vlm_plugin_<name>, a shared library libvlm_<name>.so that exports
# vlm_plugin_entry and nothing else. Works in the tree of the SDK and against an installed one. A project without C++ gets
# the headers of the ABI and none of the C++ comfort.
set(VLM_PLUGIN_MAP ${CMAKE_CURRENT_LIST_DIR}/plugin.map)
if(NOT EXISTS ${VLM_PLUGIN_MAP})
    set(VLM_PLUGIN_MAP ${CMAKE_CURRENT_LIST_DIR}/../plugin.map)
endif()
set(VLM_PLUGIN_MAP ${VLM_PLUGIN_MAP} CACHE INTERNAL "Version script of plugins")

function(vlm_add_plugin name)
    add_library(vlm_plugin_${name} MODULE ${ARGN})
    get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
    if("CXX" IN_LIST languages)
        target_link_libraries(vlm_plugin_${name} PRIVATE vlm::sdk)
    else()
        target_link_libraries(vlm_plugin_${name} PRIVATE vlm::abi)
    endif()
    if(TARGET vlm_warnings)
        target_link_libraries(vlm_plugin_${name} PRIVATE vlm_warnings)
    endif()
    target_link_options(vlm_plugin_${name} PRIVATE LINKER:--version-script=${VLM_PLUGIN_MAP} LINKER:--no-undefined)
    set_target_properties(vlm_plugin_${name} PROPERTIES OUTPUT_NAME vlm_${name} PREFIX lib C_VISIBILITY_PRESET hidden
                          CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON
                          LINK_DEPENDS ${VLM_PLUGIN_MAP})
    if(VLM_PLUGIN_DIR)
        set_target_properties(vlm_plugin_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${VLM_PLUGIN_DIR})
    endif()
    include(GNUInstallDirs)
    install(TARGETS vlm_plugin_${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/vlm/plugins COMPONENT plugins)
endfunction()
