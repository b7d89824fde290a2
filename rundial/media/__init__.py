"""Images, tables, histograms and figures as values: snapshots at the call, files in the artifact worker."""
