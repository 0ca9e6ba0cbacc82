SELECT 1;
\sleep 600 s
