/** @file no_id.c
 *  VLM-P-05: no id.
 */
#define PLUGIN_ID NULL
#include "sound.h"
