/** @file layout.h
 *  Token layout: what the visual tokens of an image are, in order.
 *
 *  Two parties need it. The host expands the image placeholder of a prompt ("a tile marker before each tile, a newline
 * token after each row"), and the backbone computes positions (M-RoPE counts rows and columns). Pictures of attention
 * need the region of the page that a token saw. None of them has to know the encoder.
 *
 *  A layout is a list of blocks that cover the positions `0 … tokens-1` of one image without gaps.
 */
#ifndef VLM_LAYOUT_H_
#define VLM_LAYOUT_H_
#include <stdint.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A grid of patches (or merged patches) in raster order. */
#define VLM_BLOCK_GRID 1
/** Learned queries or latents: no place on the page. */
#define VLM_BLOCK_LATENT 2
/** One special token: newline, separator, class token. */
#define VLM_BLOCK_SPECIAL 3

/** The block shows the whole image (base view, thumbnail) and not a tile of it. */
#define VLM_BLOCK_FLAG_GLOBAL 1u
/** Each row of the grid ends with one special token, which belongs to the block: it has rows * (columns + 1) tokens. */
#define VLM_BLOCK_FLAG_ROW_END 2u

/** Some consecutive tokens of an image. */
typedef struct vlm_token_block {
    uint32_t struct_size; /**< sizeof(vlm_token_block) of the writer. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the writer. */
    uint32_t kind;        /**< VLM_BLOCK_*. */
    uint32_t flags;       /**< VLM_BLOCK_FLAG_*. */
    int64_t first;        /**< First position of the block in its image. */
    int64_t tokens;       /**< Number of positions. */
    int32_t rows;         /**< Grid rows; 1 for other kinds. */
    int32_t columns;      /**< Grid columns; `tokens` for other kinds. */
    int32_t tile_row;     /**< Row of the tile in the grid of tiles, 0 when there is one. */
    int32_t tile_column;  /**< Column of the tile in the grid of tiles, 0 when there is one. */
    float
        region[4]; /**< Left, top, right, bottom in the source image, each 0 to 1; all 0 for a block without a place. */
} vlm_token_block;

/** The tokens of one image. */
typedef struct vlm_token_layout {
    uint32_t struct_size;                 /**< sizeof(vlm_token_layout) of the writer. */
    uint32_t abi_version;                 /**< VLM_ABI_VERSION of the writer. */
    int64_t tokens;                       /**< Number of positions before any reduction. */
    uint32_t block_count;                 /**< Number of blocks. */
    uint32_t reserved;                    /**< 0. */
    const vlm_token_block* const* blocks; /**< `block_count` blocks in order. */
} vlm_token_layout;

#ifdef __cplusplus
}
#endif

#endif /* VLM_LAYOUT_H_ */
