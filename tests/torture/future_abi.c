/** @file future_abi.c
 *  VLM-P-03: insists on an ABI version that this host does not speak.
 */
#define PLUGIN_ABI 99
#include "sound.h"
