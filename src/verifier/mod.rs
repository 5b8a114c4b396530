//! What a resource server embeds.
