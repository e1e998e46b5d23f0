/** @file same_table_for_all.c
 *  VLM-P-06: returns its table whatever is asked for.
 */
#define GET_INTERFACE any_interface
#include "sound.h"

static const void* any_interface(const char* id) {
    (void)sound_get_interface, (void)id;
    return &kTable;
}
