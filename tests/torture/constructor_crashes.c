/** @file constructor_crashes.c
 *  Falls over before anybody has called it: while the library is loaded.
 */
#include "sound_post.h"

static volatile int* volatile nowhere;  // the pointer is volatile too: compilers leave out what cannot be meant

__attribute__((constructor)) static void fall(void) {
    *nowhere = 1;
}
