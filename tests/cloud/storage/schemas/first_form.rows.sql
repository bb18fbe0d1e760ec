-- What a small network had collected: in the words of both databases.

INSERT INTO settings (name, value) VALUES ('schema_version', '1'), ('operator_key_hash', 'abc');

INSERT INTO nodes (node_id, key_hash, owner_name, latitude_deg, longitude_deg, elevation_m,
    telescope_model, filters, utc_offset_hours, rig, registered_at, last_beat_at, conditions,
    queued_uploads)
VALUES ('hilltop', 'hash-1', 'the owner', 48.137, 11.575, 520.5, 'ZWO Seestar S50', 'CV', 1.0,
    '{"aperture_mm": 50}', '2026-02-01 20:00:00.000000', '2026-03-01 21:30:00.000000',
    '{"wind": 3}', 2),
    ('valley', 'hash-2', '', -33.9, 151.2, 10.0, 'ZWO Seestar S30', 'CV', 10.0, '{}',
    '2026-02-02 20:00:00.000000', NULL, '{}', NULL);

INSERT INTO measurements (id, node_id, target_name, bjd_tdb, magnitude, uncertainty, filter,
    airmass, fwhm_px, snr, comparison_stars, quality_flag, zero_point, zp_scatter, fits_file,
    revision, is_newest, payload, conditions, content_hash, idempotency_key, received_at)
VALUES (1, 'hilltop', 'SS Cyg', 2461000.123456789, 11.873, 0.014, 'V', 1.21, 3.4, 71.0, 12, 'good',
    21.47, 0.021, 'a.fits', 1, FALSE, '{"x": 1}', '{}', 'content-1', 'key-1',
    '2026-03-01 21:30:00.000001'),
    (2, 'hilltop', 'SS Cyg', 2461000.123456789, 11.9, 0.014, 'V', NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, '', 2, TRUE, '{"x": 2}', '{"wind": 1}', 'content-2', NULL,
    '2026-03-01 21:31:00.000000'),
    (5, 'valley', 'ss cygni', 2461030.5, 11.95, 0.02, 'CV', NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, '', 1, TRUE, '{}', '{}', 'content-3', 'key-1', '2026-03-01 21:32:00.000000'),
    (7, 'valley', 'r Car', 2440000.5, 4.4, 0.02, 'V', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '',
    1, TRUE, '{}', '{}', 'content-4', NULL, '2026-03-01 21:33:00.000000'),
    (8, 'valley', 'R Car', 2440000.5, 6.1, 0.02, 'V', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '',
    1, TRUE, '{}', '{}', 'content-5', NULL, '2026-03-01 21:34:00.000000');

INSERT INTO plans (plan_id, node_id, night, generated_at, published_at, items)
VALUES ('plan-1', 'hilltop', '2026-03-01', '2026-03-01 12:00:00.000000',
    '2026-03-01 12:00:01.000000', '[{"target": "SS Cyg", "ra": 21.7, "dec": 43.6}]');

INSERT INTO interrupts (id, name, reason, ra_deg, dec_deg, mag, node_ids, created_at, expires_at)
VALUES (3, 'SN 2026abc', 'supernova', 210.9, 54.3, NULL, NULL, '2026-03-01 12:00:00.000000',
    '2099-03-01 12:00:00.000000');

INSERT INTO interrupt_acks (interrupt_id, node_id, acked_at)
VALUES (3, 'hilltop', '2026-03-01 12:05:00.000000');

INSERT INTO events (node_id, event_id, subject, item_id, state, reason, happened_at, received_at)
VALUES ('hilltop', 'e-1', 'plan-1', 'item-1', 'done', '', '2026-03-01T22:00:00Z',
    '2026-03-01 22:00:01.000000');

INSERT INTO images (id, node_id, stored_name, original_name, size_bytes, sha256, received_at)
VALUES (1, 'hilltop', 'aaaa.fits', 'a.fits', 1000, 'sha-1', '2026-03-01 21:30:00.000000'),
    (2, 'hilltop', 'bbbb.fits', 'b.fits', 500, 'sha-2', '2026-03-01 21:31:00.000000');
