/** @file item.cpp
 *  From here on the request's structs are complete local copies, so nothing behind thinks about versions.
 */
#include "item.hpp"

#include <vlm/sdk/structs.hpp>

namespace vlm::decoder {

Item::Item(vlm_backbone_request& source) : target(&source), request(source) {
    context = static_cast<Context*>(reinterpret_cast<sdk::BackboneContext*>(request.context));
    if (context == nullptr) throw sdk::invalid_argument("backbone request: a decoder needs a context");
    if ((request.segment_count > 0 && request.segments == nullptr) ||
        (request.image_count > 0 && request.images == nullptr)) {
        throw sdk::invalid_argument("backbone request: a list is NULL");
    }
    for (uint32_t i = 0; i < request.segment_count; ++i) {
        segments.push_back(sdk::read_struct(request.segments[i], "segment"));
    }
    layouts.resize(request.image_count);
    for (uint32_t i = 0; i < request.image_count; ++i) {
        images.push_back(sdk::read_struct(request.images[i], "visual input"));
        if (images[i].layout == nullptr) continue;
        layouts[i] = sdk::Layout(images[i].layout);
        images[i].layout = layouts[i].get();
    }
    for (const vlm_segment& segment : segments) segment_pointers.push_back(&segment);
    for (const vlm_visual_input& image : images) image_pointers.push_back(&image);
    request.segments = segment_pointers.data();
    request.images = image_pointers.data();
}

}  // namespace vlm::decoder
