/** @file sound_post.c
 *  Keeps every rule of a post-processor.
 */
#include "sound_post.h"
