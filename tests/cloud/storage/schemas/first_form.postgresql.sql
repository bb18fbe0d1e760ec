-- The tables of the first form, as its program made them.

CREATE TABLE interrupts (
    id BIGSERIAL NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    ra_deg DOUBLE PRECISION NOT NULL,
    dec_deg DOUBLE PRECISION NOT NULL,
    mag DOUBLE PRECISION,
    node_ids JSON,
    created_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    CONSTRAINT pk_interrupts PRIMARY KEY (id)
);

CREATE INDEX ix_interrupts_expires_at ON interrupts (expires_at);

CREATE TABLE nodes (
    node_id VARCHAR(64) NOT NULL,
    key_hash VARCHAR(64) NOT NULL,
    owner_name TEXT NOT NULL,
    latitude_deg DOUBLE PRECISION NOT NULL,
    longitude_deg DOUBLE PRECISION NOT NULL,
    elevation_m DOUBLE PRECISION NOT NULL,
    telescope_model TEXT NOT NULL,
    filters TEXT NOT NULL,
    utc_offset_hours DOUBLE PRECISION NOT NULL,
    rig JSON NOT NULL,
    registered_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    last_beat_at TIMESTAMP WITHOUT TIME ZONE,
    conditions JSON NOT NULL,
    queued_uploads INTEGER,
    CONSTRAINT pk_nodes PRIMARY KEY (node_id)
);

CREATE TABLE settings (
    name VARCHAR(64) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_settings PRIMARY KEY (name)
);

CREATE TABLE events (
    node_id VARCHAR(64) NOT NULL,
    event_id VARCHAR(200) NOT NULL,
    subject VARCHAR(120) NOT NULL,
    item_id VARCHAR(200),
    state VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL,
    happened_at VARCHAR(200) NOT NULL,
    received_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (node_id, event_id),
    CONSTRAINT fk_events_node_id FOREIGN KEY(node_id) REFERENCES nodes (node_id)
);

CREATE INDEX ix_events_subject ON events (subject);

CREATE TABLE images (
    id BIGSERIAL NOT NULL,
    node_id VARCHAR(64) NOT NULL,
    stored_name VARCHAR(100) NOT NULL,
    original_name TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    received_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    CONSTRAINT pk_images PRIMARY KEY (id),
    CONSTRAINT uq_images_node_id_sha256 UNIQUE (node_id, sha256),
    CONSTRAINT fk_images_node_id FOREIGN KEY(node_id) REFERENCES nodes (node_id),
    CONSTRAINT uq_images_stored_name UNIQUE (stored_name)
);

CREATE TABLE interrupt_acks (
    interrupt_id BIGINT NOT NULL,
    node_id VARCHAR(64) NOT NULL,
    acked_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    CONSTRAINT pk_interrupt_acks PRIMARY KEY (interrupt_id, node_id),
    CONSTRAINT fk_interrupt_acks_interrupt_id FOREIGN KEY(interrupt_id) REFERENCES interrupts (id),
    CONSTRAINT fk_interrupt_acks_node_id FOREIGN KEY(node_id) REFERENCES nodes (node_id)
);

CREATE TABLE measurements (
    id BIGSERIAL NOT NULL,
    node_id VARCHAR(64) NOT NULL,
    target_name TEXT NOT NULL,
    bjd_tdb DOUBLE PRECISION NOT NULL,
    magnitude DOUBLE PRECISION NOT NULL,
    uncertainty DOUBLE PRECISION NOT NULL,
    filter VARCHAR(32) NOT NULL,
    airmass DOUBLE PRECISION,
    fwhm_px DOUBLE PRECISION,
    snr DOUBLE PRECISION,
    comparison_stars INTEGER,
    quality_flag VARCHAR(16),
    zero_point DOUBLE PRECISION,
    zp_scatter DOUBLE PRECISION,
    fits_file TEXT NOT NULL,
    revision INTEGER NOT NULL,
    is_newest BOOLEAN NOT NULL,
    payload JSON NOT NULL,
    conditions JSON NOT NULL,
    content_hash VARCHAR(64) NOT NULL,
    idempotency_key VARCHAR(200),
    received_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    CONSTRAINT pk_measurements PRIMARY KEY (id),
    CONSTRAINT uq_measurements_node_id_content_hash UNIQUE (node_id, content_hash),
    CONSTRAINT uq_measurements_node_id_idempotency_key UNIQUE (node_id, idempotency_key),
    CONSTRAINT uq_measurements_node_id_target_name_bjd_tdb_filter_revision UNIQUE (node_id, target_name, bjd_tdb, filter, revision),
    CONSTRAINT fk_measurements_node_id FOREIGN KEY(node_id) REFERENCES nodes (node_id)
);

CREATE INDEX ix_measurements_received_at ON measurements (received_at);

CREATE INDEX ix_measurements_target_name_bjd_tdb ON measurements (target_name, bjd_tdb);

CREATE TABLE plans (
    plan_id VARCHAR(100) NOT NULL,
    node_id VARCHAR(64) NOT NULL,
    night VARCHAR(10) NOT NULL,
    generated_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    published_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    items JSON NOT NULL,
    CONSTRAINT pk_plans PRIMARY KEY (plan_id),
    CONSTRAINT fk_plans_node_id FOREIGN KEY(node_id) REFERENCES nodes (node_id)
);

CREATE INDEX ix_plans_node_id_published_at ON plans (node_id, published_at);
