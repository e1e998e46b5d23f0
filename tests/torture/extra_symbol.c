/** @file extra_symbol.c
 *  VLM-P-01: shows a second symbol.
 */
#include "sound.h"

VLM_EXPORT int helper_of_the_plugin(void);
VLM_EXPORT int helper_of_the_plugin(void) {
    return 1;
}
