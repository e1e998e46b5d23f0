/** @file connector_trusts_host.c
 *  VLM-P-24: takes it for granted that the host has a service.
 */
#define CREATE faulty_create
#define CONNECT faulty_connect
#include <vlm/image.h>

#include "sound_connector.h"

static const vlm_host_info* host;

static vlm_status faulty_create(const vlm_component_config* config, vlm_component** component) {
    const vlm_status status = sound_create(config, component);
    if (status == VLM_STATUS_OK) host = config->host;
    return status;
}

static vlm_status faulty_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    const vlm_image_service* image = host->get_service(host->host, VLM_SERVICE_IMAGE);
    const uint8_t from[3] = {40, 50, 60};
    uint8_t to[12] = {0};
    const vlm_status status = image->resize(from, 1, 1, to, 2, 2, VLM_RESAMPLE_BICUBIC);
    return status == VLM_STATUS_OK ? sound_connect(component, run, count, inputs, outputs) : status;
}
