/** @file bad_identity.c
 *  VLM-P-05: an id that is no reverse-DNS name.
 */
#define PLUGIN_ID "My Plugin"
#include "sound.h"
