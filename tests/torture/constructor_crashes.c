/** @file constructor_crashes.c
 *  Falls over before anybody has called it: while the library is loaded.
 */
#include "sound_post.h"

__attribute__((constructor)) static void fall(void) {
    volatile int* nowhere = NULL;
    *nowhere = 1;
}
