"""What every part of the local AWS needs: settings, processes, folders, logs."""
