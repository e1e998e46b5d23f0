/** @file marks_its_start.c
 *  Keeps every rule, but leaves a mark as soon as the system loads it: a host that refuses a library before it runs any
 * of its code leaves no mark.
 */
#include "sound.h"

__attribute__((constructor)) static void mark(void) {
    setenv("VLM_TORTURE_MARK", "was here", 1);
}
