/** @file bad_version.c
 *  VLM-P-05: a version that is not semantic.
 */
#define PLUGIN_VERSION "latest"
#include "sound.h"
