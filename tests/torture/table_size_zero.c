/** @file table_size_zero.c
 *  VLM-P-06: a table of struct_size 0.
 */
#define TABLE_SIZE 0
#include "sound.h"
