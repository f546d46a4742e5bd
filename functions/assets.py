"""The page's style, scripts and icon: public files of this app, so that nothing comes from anywhere else."""

import azure.functions as func

from functions.answers import file

blueprint = func.Blueprint()


@blueprint.route("assets/{name}", methods=["GET"])
async def serve_asset(req: func.HttpRequest) -> func.HttpResponse:
    """One of the known files; its address changes with its content, so browsers may keep it."""
    from shared.console.render import ASSETS

    asset = ASSETS.get(req.route_params["name"])
    if asset is None:
        return func.HttpResponse(status_code=404)
    return file(asset.content, asset.mimetype, Cache_Control="public, max-age=31536000, immutable")
