/** @file size_zero.c
 *  VLM-P-08: a description of struct_size 0.
 */
#define PLUGIN_SIZE 0
#include "sound.h"
