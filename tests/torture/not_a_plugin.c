/** @file not_a_plugin.c
 *  A shared library that is no plugin.
 */
#include <vlm/version.h>

VLM_EXPORT int something_else(void);
VLM_EXPORT int something_else(void) {
    return 0;
}
