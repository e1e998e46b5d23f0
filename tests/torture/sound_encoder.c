/** @file sound_encoder.c
 *  Keeps every rule of an encoder.
 */
#include "sound_encoder.h"
