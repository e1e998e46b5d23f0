/** @file sound_connector.c
 *  Keeps every rule of a connector.
 */
#include "sound_connector.h"
