/** @file size_absurd.c
 *  VLM-P-08: a description that claims to be larger than any struct.
 */
#define PLUGIN_SIZE 0x40000000
#include "sound.h"
